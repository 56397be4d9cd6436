"""Texts read a piece at a time, and told apart by 128-bit digests, so that no column is ever in memory as a whole."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

CHUNK = 4096
"""Texts in memory at a time."""

SAMPLED_TEXTS = 2_000
"""Texts that stand for all: they are counted in 0.1 s, and meet a share of 5 % to within 1 %."""

_BYTES = 16


class TextColumn(Protocol):
    """What is asked of a column of texts: a list has it, and so has a column of a `datasets.Dataset`, which reads from the disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Sequence[str]: ...


def chunks(column: Any) -> Iterator[Any]:
    """Yield what a column holds in order, some thousand texts at a time; a table gives some thousand rows at a time."""
    for start in range(0, len(column), CHUNK):
        yield column[start : start + CHUNK]


def spread_texts(columns: Sequence[TextColumn], most: int = SAMPLED_TEXTS) -> list[str]:
    """Return texts of some columns of one length, from the first row to the last at even distances.

    Args:
        columns: The columns.
        most: How many texts altogether at most.
    """
    rows = len(columns[0]) if columns else 0
    step = max(1, math.ceil(rows * len(columns) / most))
    return [text for column in columns for text in column[slice(0, rows, step)]]


@dataclass(frozen=True)
class TextsOf:
    """The texts of some columns, one column after the other; whoever goes through them reads them again.

    Attributes:
        columns: The columns.
    """

    columns: Sequence[TextColumn]

    def __iter__(self) -> Iterator[str]:
        for column in self.columns:
            for texts in chunks(column):
                yield from texts


def digest_texts(columns: Sequence[TextColumn], fold: Callable[[str], str] = str) -> NDArray[np.uint64]:
    """Return a digest of each text of some columns, one column after the other, (texts, 2).

    128 bits: among a billion texts, two different ones have the same digest with a probability of 1 in 10^20.

    Args:
        columns: The columns.
        fold: What is done to a text first, so that texts that are to count as equal are.
    """
    found = bytearray()
    for column in columns:
        for texts in chunks(column):
            # A lone surrogate, which JSON can hold, is a text like any other here.
            found += b"".join(
                hashlib.blake2b(fold(text).encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest() for text in texts
            )
    return np.frombuffer(found, dtype=np.uint64).reshape(-1, 2)


def number_digests(digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number digests in the order in which they first come.

    Args:
        digests: (texts, 2).

    Returns:
        The number of each, (texts,), and the place where each number comes first, (numbers,).
    """
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: of equal ones, the first comes first
    ordered = digests[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = order[starts]
    by_place = np.argsort(first)
    number = np.empty_like(by_place)
    number[by_place] = np.arange(len(by_place))
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = number[np.cumsum(starts) - 1]
    return numbers, first[by_place]


def read_numbers(table: Any, column: str) -> NDArray[Any]:
    """Return a column of numbers of a `datasets.Dataset` as an array, (rows,)."""
    # The numpy form of datasets would make float32 of scores; and picking all rows of a split at once takes 400 bytes a row.
    rows = table.select_columns([column]).with_format("arrow")
    return np.concatenate([rows[:0][column].to_numpy(), *(part[column].to_numpy() for part in chunks(rows))])
