"""How float32 matrices are multiplied: by which library on the CPU, with which rounding on a GPU; and when a GPU is done."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

_SIZE = 256
_TOLERANCE = 1e-5


def wait_for(device: torch.device) -> None:
    """Return once a GPU has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def fast_float32(device: torch.device) -> Iterator[None]:
    """Let oneDNN multiply float32 matrices on the CPU where it does so in full float32.

    torch asks MKL by default, which leaves the 512-bit units of processors that are not Intel's idle: there oneDNN is twice
    as fast. The switch that hands the products to oneDNN allows it to round them to bf16, and processors with matrix units for
    bf16 (AMX) take it at its word; so one product is compared with float64 first, and where digits are lost nothing changes.

    Args:
        device: Where the matrices are; other devices than the CPU are left alone.
    """
    with _matmul_precision("bf16") if device.type == "cpu" and _keeps_float32() else nullcontext():
        yield


@contextmanager
def small_products() -> Iterator[None]:
    """Let MKL multiply for a while, also within `fast_float32`: oneDNN takes longer to begin, and for each new shape again."""
    with _matmul_precision("ieee"):
        yield


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Say for a while whether a CUDA GPU may round the factors of float32 products to TF32's eleven bits.

    By the newer of torch's two switches where there are two: once anybody has touched it, the older one raises when it is read.
    """
    switch = torch.backends.cuda.matmul
    if not hasattr(switch, "fp32_precision"):
        with _set(switch, "allow_tf32", allowed):
            yield
        return
    with _set(switch, "fp32_precision", "tf32" if allowed else "ieee", unset="none"):
        yield


@contextmanager
def _set(switch: Any, name: str, value: Any, unset: Any = None) -> Iterator[None]:
    """Give a setting a value for a while.

    Args:
        switch: What holds it.
        name: Of the setting.
        value: For the while.
        unset: The value with which it follows a more general setting. Where that gives what was there before, it is put back to it: it
            will go on following.
    """
    before = getattr(switch, name)
    setattr(switch, name, value)
    try:
        yield
    finally:
        setattr(switch, name, before if unset is None else unset)
        if getattr(switch, name) != before:
            setattr(switch, name, before)


@contextmanager
def _matmul_precision(position: str) -> Iterator[None]:
    switch = _matmul_backend()
    with nullcontext() if switch is None else _set(switch, "fp32_precision", position):
        yield


def _matmul_backend() -> Any:
    """Return torch's setting for matrix products of oneDNN; None where this torch has none."""
    return getattr(torch.backends.mkldnn, "matmul", None)


@functools.cache
def _keeps_float32() -> bool:
    """Return whether products under that switch have float32's digits."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(_SIZE, _SIZE, generator=generator) for _ in range(2))
    with _matmul_precision("bf16"):
        return _relative_error(x @ y, x, y) < _TOLERANCE


def _relative_error(product: Tensor, x: Tensor, y: Tensor) -> float:
    exact = x.double() @ y.double()
    return float((product.double() - exact).abs().max() / exact.abs().max())
