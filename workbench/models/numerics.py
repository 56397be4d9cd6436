"""How float32 matrices are multiplied: by which library on the CPU, with which rounding on a GPU."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

_SIZE = 256
_TOLERANCE = 1e-5


@contextmanager
def fast_float32(device: torch.device) -> Iterator[None]:
    """Let oneDNN multiply float32 matrices on the CPU where it does so in full float32.

    torch asks MKL by default, which leaves the 512-bit units of processors that are not Intel's idle: there oneDNN is twice
    as fast. The switch that hands the products to oneDNN allows it to round them to bf16, and processors with matrix units for
    bf16 (AMX) take it at its word; so one product is compared with float64 first, and where digits are lost nothing changes.

    Args:
        device: Where the matrices are; other devices than the CPU are left alone.
    """
    with _thrown("bf16") if device.type == "cpu" and _keeps_float32() else nullcontext():
        yield


@contextmanager
def small_products() -> Iterator[None]:
    """Let MKL multiply for a while, also within `fast_float32`: oneDNN takes longer to begin, and for each new shape anew."""
    with _thrown("ieee"):
        yield


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Say for a while whether a CUDA GPU may round the factors of float32 products to TF32's eleven bits."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


@contextmanager
def _thrown(position: str) -> Iterator[None]:
    switch = _switch()
    if switch is None:
        yield
        return
    before = switch.fp32_precision
    switch.fp32_precision = position
    try:
        yield
    finally:
        switch.fp32_precision = before


def _switch() -> Any:
    """Return torch's setting for matrix products of oneDNN; None where this torch has none."""
    return getattr(torch.backends.mkldnn, "matmul", None)


@functools.cache
def _keeps_float32() -> bool:
    """Return whether products under that switch have float32's digits."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(_SIZE, _SIZE, generator=generator) for _ in range(2))
    with _thrown("bf16"):
        return _relative_error(x @ y, x, y) < _TOLERANCE


def _relative_error(product: Tensor, x: Tensor, y: Tensor) -> float:
    exact = x.double() @ y.double()
    return float((product.double() - exact).abs().max() / exact.abs().max())
