"""A CUDA graph's habits on the CPU: what was recorded is a list of operations on addresses, not a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default", "is_nonzero")
"""Operations that a GPU has to be waited for."""


class Tape(TorchDispatchMode):
    """Keeps every operation with the very tensors it was given, and does them again in the same memory.

    No line of Python runs again: a number that the host looked at stays what it was, a tensor that was made on the host as well, and
    whoever has read a tensor of the first batch reads that one for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(word in str(func) for word in FORBIDDEN):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        result = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, tree_leaves(result)))
        return result

    @property
    def shapes(self) -> set[tuple[int, ...]]:
        """Of everything that was made."""
        return {tuple(made.shape) for *_, results in self._done for made in results if isinstance(made, Tensor)}

    @torch.no_grad()
    def replay(self) -> None:
        """Do it all again."""
        for func, args, kwargs, before in self._done:
            for old, new in zip(before, tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Recorder:
    """Stands in for `CudaRecorder`.

    Attributes:
        recorded: How many steps were recorded.
        replayed: How often one was replayed.
        shapes: Of all tensors made in recorded steps.
    """

    def __init__(self, at_replay: Callable[[], None] = lambda: None, at_record: Callable[[], None] = lambda: None) -> None:
        self.recorded = self.replayed = 0
        self.shapes: set[tuple[int, ...]] = set()
        self._at_replay, self._at_record = at_replay, at_record

    def __call__(self, step: Callable[[], None]) -> Callable[[], None]:
        """Return the replay of a step."""
        self._at_record()
        step()
        tape = Tape()
        with pytest.MonkeyPatch.context() as patch, tape:
            patch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)  # transformers asks
            step()
        self.recorded += 1
        self.shapes |= tape.shapes

        def replay() -> None:
            self.replayed += 1
            self._at_replay()
            tape.replay()

        return replay
