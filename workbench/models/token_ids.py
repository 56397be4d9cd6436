"""Tokens of several texts as one array, as batches are made of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class TokenIds(Sequence[list[int]]):
    """Reads like a list with one list of tokens a text; what runs at every step takes the arrays.

    Args:
        flat: Tokens of all texts, one after the other, int64 (tokens,).
        lengths: How many of them each text has, int64 (texts,).
    """

    def __init__(self, flat: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        self.flat = flat
        self.lengths = lengths

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> TokenIds:
        """Return the tokens of some texts; those that are arrays already as they are."""
        if isinstance(rows, TokenIds):
            return rows
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return cls(np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int64, count=int(lengths.sum())), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> list[int]: ...

    @overload
    def __getitem__(self, index: slice) -> TokenIds: ...

    def __getitem__(self, index: int | slice) -> list[int] | TokenIds:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            assert step == 1, "texts side by side"
            before, until = (int(self.lengths[:place].sum()) for place in (start, max(start, stop)))
            return TokenIds(self.flat[before:until], self.lengths[index])
        place = range(len(self))[index]
        begin = int(self.lengths[:place].sum())
        return self.flat[begin : begin + int(self.lengths[place])].tolist()
