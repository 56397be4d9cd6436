"""Which token vectors belong to which row: the one object through which layers see tokens.

Two layouts carry the same sentences. Padded: `token_embeddings` is (rows, longest, width) and a mask says what is real.
Packed: it is (all tokens, width), row after row, and lengths say where each begins. A layer written on the methods below
works in both.
"""

from __future__ import annotations

import copy
import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


class Layout(ABC):
    """Token vectors of several rows.

    Attributes:
        rows: Number of rows.
        keep: Bool, True for every token that takes part; (rows, longest) padded, (tokens,) packed.
    """

    rows: int
    keep: Tensor

    @abstractmethod
    def without_prompt(self, prompt_length: int) -> Layout:
        """Return a layout whose first `prompt_length` tokens of each row take no part; positions stay as they were."""

    @abstractmethod
    def counts(self) -> Tensor:
        """Return the number of tokens that take part, int64 (rows,)."""

    @abstractmethod
    def positions(self) -> Tensor:
        """Return each token's index in its row, counted from the first real token; shaped like `keep`."""

    @abstractmethod
    def to_padded(self, x: Tensor) -> Tensor:
        """Return x as (rows, longest, width), zeros where there is no token."""

    @abstractmethod
    def padded_mask(self) -> Tensor:
        """Return the mask that goes with `to_padded`, bool (rows, longest)."""

    @abstractmethod
    def segment_sum(self, x: Tensor) -> Tensor:
        """Return the sum over the tokens of each row that take part, (rows, width)."""

    @abstractmethod
    def segment_max(self, x: Tensor) -> Tensor:
        """Return the maximum over the tokens of each row that take part, (rows, width); -inf where there are none."""

    @abstractmethod
    def first(self, x: Tensor) -> Tensor:
        """Return each row's first token that takes part, (rows, width); token 0 where there is none."""

    @abstractmethod
    def last(self, x: Tensor) -> Tensor:
        """Return each row's last token that takes part, (rows, width); zeros where there is none."""

    def expand(self, weights: Tensor) -> Tensor:
        """Return per-token weights with a last dimension to multiply token vectors by."""
        return weights.unsqueeze(-1)


class PaddedLayout(Layout):
    """Rows padded to the longest.

    Args:
        mask: Attention mask (rows, longest), 1 or True for real tokens, on either side.
        keep: Tokens that take part; None for all real ones.
    """

    def __init__(self, mask: Tensor, keep: Tensor | None = None) -> None:
        self.mask = mask.bool()
        self.keep = self.mask if keep is None else keep
        self.rows = mask.shape[0]

    def without_prompt(self, prompt_length: int) -> PaddedLayout:  # noqa: D102
        return PaddedLayout(self.mask, self.mask & (self.positions() >= prompt_length))

    def counts(self) -> Tensor:  # noqa: D102
        return self.keep.sum(dim=1)

    def positions(self) -> Tensor:  # noqa: D102
        first_real = self.mask.int().argmax(dim=1, keepdim=True)
        return torch.arange(self.mask.shape[1], device=self.mask.device) - first_real

    def to_padded(self, x: Tensor) -> Tensor:  # noqa: D102
        return x * self.expand(self.mask).to(x.dtype)

    def padded_mask(self) -> Tensor:  # noqa: D102
        return self.mask

    def segment_sum(self, x: Tensor) -> Tensor:  # noqa: D102
        return (x * self.expand(self.keep).to(x.dtype)).sum(dim=1)

    def segment_max(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.masked_fill(~self.expand(self.keep), float("-inf")).amax(dim=1)

    def first(self, x: Tensor) -> Tensor:  # noqa: D102
        return self._pick(x, self.keep.int().argmax(dim=1))

    def last(self, x: Tensor) -> Tensor:  # noqa: D102
        longest = self.keep.shape[1]
        picked = self._pick(x, longest - 1 - self.keep.flip(1).int().argmax(dim=1))
        return torch.where(self.keep.any(dim=1, keepdim=True), picked, torch.zeros_like(picked))

    def _pick(self, x: Tensor, index: Tensor) -> Tensor:
        return x[torch.arange(self.rows, device=x.device), index]


class PackedLayout(Layout):
    """Rows one behind the other, without padding.

    Args:
        lengths: Number of tokens of each row, none of them 0.
        device: Where the token vectors are.
    """

    def __init__(self, lengths: Sequence[int] | NDArray[np.int64], device: torch.device | str = "cpu") -> None:
        length = np.asarray(lengths, dtype=np.int64)
        self.lengths: list[int] = length.tolist()
        self._set(put_on(torch.device(device), torch.from_numpy(packed_numbers(length))), len(length), max(self.lengths, default=0))

    def _set(self, numbers: Tensor, rows: int, longest: int) -> None:
        """Take over what `packed_numbers` has made."""
        tokens = len(numbers) // 2 - rows
        self.rows, self.longest, self.device = rows, longest, numbers.device
        self._length, self._start, self.row_of_token, self._positions = numbers.split((rows, rows, tokens, tokens))
        self.keep = torch.ones(tokens, dtype=torch.bool, device=self.device)

    @functools.cached_property
    def boundaries(self) -> Tensor:
        """Where each row begins, and where the last one ends, int32 (rows + 1,)."""
        return functional.pad(self._length.cumsum(0), (1, 0)).int()

    @functools.cached_property
    def _place(self) -> Tensor:
        """Where each token stands among the positions of the padded batch, (tokens,)."""
        return self.row_of_token * self.longest + self.positions()

    @functools.cached_property
    def _padded_mask(self) -> Tensor:
        return torch.arange(self.longest, device=self.device) < self._length.unsqueeze(1)

    def without_prompt(self, prompt_length: int) -> PackedLayout:  # noqa: D102
        layout = copy.copy(self)
        layout.keep = self._positions >= prompt_length
        return layout

    def counts(self) -> Tensor:  # noqa: D102
        return torch.zeros_like(self._length).index_add_(0, self.row_of_token, self.keep.long())

    def positions(self) -> Tensor:  # noqa: D102
        return self._positions

    def to_padded(self, x: Tensor) -> Tensor:  # noqa: D102
        padded = x.new_zeros(self.rows * self.longest, *x.shape[1:])
        return padded.index_copy(0, self._place, x).unflatten(0, (self.rows, self.longest))

    def from_padded(self, x: Tensor) -> Tensor:
        """Return what `to_padded` was given, (tokens, ...), from (rows, longest, ...)."""
        return x.flatten(0, 1).index_select(0, self._place)

    def padded_mask(self) -> Tensor:  # noqa: D102
        return self._padded_mask

    def segment_sum(self, x: Tensor) -> Tensor:  # noqa: D102
        kept = x * self.expand(self.keep).to(x.dtype)
        return x.new_zeros(self.rows, x.shape[-1]).index_add(0, self.row_of_token, kept)

    def segment_max(self, x: Tensor) -> Tensor:  # noqa: D102
        kept = x.masked_fill(~self.expand(self.keep), float("-inf"))
        start = x.new_full((self.rows, x.shape[-1]), float("-inf"))
        return start.scatter_reduce(0, self.row_of_token.unsqueeze(-1).expand_as(kept), kept, reduce="amax")

    def first(self, x: Tensor) -> Tensor:  # noqa: D102
        skipped = self._length - self.counts()
        return x.index_select(0, self._start + torch.where(skipped < self._length, skipped, 0))

    def last(self, x: Tensor) -> Tensor:  # noqa: D102
        picked = x.index_select(0, self._start + self._length - 1)
        return torch.where(self.counts().unsqueeze(-1) > 0, picked, torch.zeros_like(picked))


class StaticLayout(PackedLayout):
    """A packed layout of which the host knows the sizes only: its numbers lie where the next batch's will lie after them.

    It is made again for every pass, for what a layout has derived from its numbers it keeps. What needs each row's length on the host
    cannot take it, since there are no `lengths`.

    Args:
        numbers: As `packed_numbers` makes them, int64 (2 x rows + 2 x tokens,), where the token vectors are.
        rows: Number of rows.
        longest: What no row is longer than.
    """

    def __init__(self, numbers: Tensor, rows: int, longest: int) -> None:
        self._set(numbers, rows, longest)


def packed_numbers(length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what a packed layout consists of: length and start of each row, row and position of each token, int64.

    In the host's memory, where that costs least, to be copied at once: a GPU would need a kernel for every line, and would have to
    be waited for to learn how many tokens there are.

    Args:
        length: Number of tokens of each row, (rows,), none of them 0.
    """
    start = np.cumsum(length) - length
    row = np.repeat(np.arange(len(length)), length)
    position = np.arange(len(row)) - start[row]
    return np.concatenate((length, start, row, position))


def band(length: int, window: int, device: torch.device) -> Tensor:
    """Return which tokens of a row see each other, those less than `window` apart, bool (length, length)."""
    place = torch.arange(length, device=device)
    return (place.unsqueeze(1) - place).abs() < window


def put_on(device: torch.device, tensor: Tensor) -> Tensor:
    """Return a tensor of the host's memory on a device. A copy to a CUDA GPU joins its queue, and no one waits for it."""
    return pin_for(device, tensor).to(device, non_blocking=device.type == "cuda")


def pin_for(device: torch.device, tensor: Tensor) -> Tensor:
    """Return a tensor of the host's memory where a CUDA GPU can fetch it by itself; for other devices as it is."""
    return tensor.pin_memory() if device.type == "cuda" else tensor
