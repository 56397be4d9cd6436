"""What the measurements share: the machine, clocks, counting, and the result's file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from workbench.models.numerics import fast_float32

LIBRARIES = ("torch", "transformers", "sentence-transformers")


def machine(device: str = "cpu") -> dict[str, Any]:
    """Return what a number depends on beside the code: hardware, threads, versions, and the day.

    Args:
        device: `cpu` or `cuda`; a GPU is named only where it was used.
    """
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "date": date.today().isoformat(),
    }
    if torch.device(device).type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    return facts


def cpu_name() -> str:
    """Return the processor as the system calls it."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(distribution: str) -> str | None:
    try:
        return torch.__version__ if distribution == "torch" else metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def write_json(result: dict[str, Any], path: Path) -> None:
    """Write a result as it is in the repository."""
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return what `write_json` wrote."""
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


# --- clocks -----------------------------------------------------------------------------------------------------------


def synchronize(device: str) -> None:
    """Wait until a GPU has done what it was given; a CPU always has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


class Stopwatch:
    """Runs from its making on, except while paused.

    Args:
        device: Where the work is done; a GPU's pending work counts as done when the clock is read.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        synchronize(device)
        self._start = time.perf_counter()
        self._paused = 0.0

    @property
    def seconds(self) -> float:
        """Time so far, pauses left out."""
        synchronize(self._device)
        return time.perf_counter() - self._start - self._paused

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still within the block."""
        synchronize(self._device)
        start = time.perf_counter()
        try:
            yield
        finally:
            synchronize(self._device)
            self._paused += time.perf_counter() - start


def interleaved(sides: Sequence[str], repeats: int) -> Iterator[tuple[int, str]]:
    """Yield (repetition, side), all sides once a repetition, in turned order every second time.

    A machine that slows down or is disturbed for a while then meets all sides alike.
    """
    for repeat in range(repeats):
        for side in sides if repeat % 2 == 0 else reversed(sides):
            yield repeat, side


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return median, lowest and highest."""
    known = list(values)
    return {"median": statistics.median(known), "low": min(known), "high": max(known)}


# --- counting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EncoderSize:
    """What of an encoder its arithmetic follows from.

    Attributes:
        weights: Numbers in its weight matrices; word vectors are looked up, not multiplied.
        layers: Attention layers.
        width: Of a token vector.
    """

    weights: int
    layers: int
    width: int

    @classmethod
    def of(cls, encoder: Any) -> EncoderSize:
        """Measure a transformers model. BERT's pooler stays out: it sees one token a text, and nothing here uses it."""
        linear = (module for name, module in encoder.named_modules() if isinstance(module, nn.Linear) and "pooler" not in name)
        config = encoder.config
        return cls(sum(module.weight.numel() for module in linear), int(config.num_hidden_layers), int(config.hidden_size))


def forward_flops(size: EncoderSize, lengths: Iterable[int]) -> int:
    """Return the operations of a forward pass over texts without padding: 2 a weight and token, and the attention.

    Queries times keys and weights times values are 2 * length * length * width operations each, in each layer.

    Args:
        size: The encoder.
        lengths: Tokens of each text.
    """
    tokens = squares = 0
    for length in lengths:
        tokens += length
        squares += length * length
    return 2 * size.weights * tokens + 4 * size.layers * size.width * squares


def training_flops(size: EncoderSize, lengths: Iterable[int]) -> int:
    """Return the operations of forward and backward pass: the gradients of weights and of inputs cost one forward each."""
    return 3 * forward_flops(size, lengths)


class TokenCount:
    """Counts computed token positions and the real tokens among them, from the attention masks of the batches.

    As a hook before an encoder's forward it is one sum a batch; the numbers are fetched from the device at the end.
    """

    def __init__(self) -> None:
        self.positions = 0
        self._lengths: list[torch.Tensor] = []

    def add(self, mask: torch.Tensor) -> None:
        """Take one batch's attention mask, (rows, longest)."""
        self.positions += mask.numel()
        self._lengths.append(mask.sum(dim=1))

    @property
    def lengths(self) -> list[int]:
        """Real tokens of each text so far."""
        return torch.cat(self._lengths).tolist() if self._lengths else []

    @property
    def padding_fraction(self) -> float:
        """Padded over all positions."""
        return 1 - sum(self.lengths) / self.positions if self.positions else 0.0


def matmul_flops_per_second(device: str, dtype: torch.dtype, size: int | None = None) -> float:
    """Return the best speed of a large square matrix product on this machine: what the hardware gives at most.

    Args:
        device: `cpu` or `cuda`.
        dtype: Number format.
        size: Rows and columns; None for what fills the device.
    """
    size = size or (8192 if torch.device(device).type == "cuda" else 2048)
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator).to(device, dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):  # the first warms up
        watch = Stopwatch(device)
        with fast_float32(torch.device(device)):
            _ = left @ right
        best = min(best, watch.seconds)
    return 2 * size**3 / best


@dataclass(frozen=True)
class Point:
    """One evaluation in a training.

    Attributes:
        step: Optimiser steps taken.
        seconds: Training time until then.
        value: The score.
    """

    step: int
    seconds: float
    value: float


def time_to_score(curve: Sequence[Point], target: float) -> float | None:
    """Return the training time at the first evaluation that reached a score, or None if none did."""
    return next((point.seconds for point in curve if point.value >= target), None)


def common_target(curves: Iterable[Sequence[Point]]) -> float:
    """Return the highest score that every curve reaches."""
    return min(max(point.value for point in curve) for curve in curves)


def resident_bytes() -> tuple[int, int]:
    """Return the memory this process holds now and the most it ever held."""
    now = psutil.Process().memory_info().rss
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: on Linux its maximum starts as the parent's, kept over fork and exec.
        peak = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return now, int(peak.split()[1]) * 1024
    if os.name == "nt":
        return now, psutil.Process().memory_info().peak_wset
    import resource

    return now, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
