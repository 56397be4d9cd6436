"""Names what a run was doing when the memory ran out, with the remedy that helps there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from workbench.errors import RunError, is_out_of_memory
from workbench.recipe import TrainingConfig

SMALLER = "shorten `max_seq_length`, choose a smaller base, or free the memory that other programs hold"


@contextmanager
def measuring(what: str, device: torch.device) -> Iterator[None]:
    """Explain a want of memory while something is measured.

    Args:
        what: Is measured, on what.
        device: Where.

    Raises:
        RunError: If the memory does not suffice.
    """
    with _explained(
        f"{_owner(device)} ran out of memory while {what} was measured; {SMALLER}. `micro_batch_size` changes nothing here."
    ):
        yield


@contextmanager
def training(config: TrainingConfig, device: torch.device) -> Iterator[None]:
    """Explain a want of memory in the steps.

    Args:
        config: Says how many rows are embedded at a time.
        device: Where.

    Raises:
        RunError: If the memory does not suffice.
    """
    rows = min(config.micro_batch_size or config.batch_size, config.batch_size)
    what = f"{_owner(device)} ran out of memory while training on batches of {config.batch_size} rows"
    if rows == 1:
        with _explained(f"{what}, one row embedded at a time; {SMALLER}.", "max_seq_length"):
            yield
        return
    at_a_time = "" if rows == config.batch_size else f", {rows} embedded at a time"
    remedy = f"set `micro_batch_size` to {rows // 2}, which changes nothing but the memory needed."
    with _explained(f"{what}{at_a_time}; {remedy}", "micro_batch_size"):
        yield


@contextmanager
def _explained(message: str, field: str | None = None) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(message, field=field) from None


def _owner(device: torch.device) -> str:
    return "This machine" if device.type == "cpu" else "The GPU"
