"""Which rows share a batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from workbench.training.tokens import Tokens

_LOOK_AHEAD = 20
"""Batches' worth of clashing rows looked past before a batch is closed early; keeps the search linear."""


class ShuffledBatches(Sampler[list[int]]):
    """Batches of rows in an order that depends on seed and epoch alone.

    An epoch is held as one array of row numbers and one of the batches' ends.

    Args:
        tokens: The tokenised training part.
        batch_size: Rows a batch.
        seed: Of the order.
        distinct: Whether no sentence may be in two rows of a batch. Rows that would repeat one wait for a later batch; the
            last batches are smaller where too few different rows are left, and every row comes exactly once an epoch.
    """

    def __init__(self, tokens: Tokens, batch_size: int, seed: int, distinct: bool = False) -> None:
        self._tokens = tokens
        self.batch_size = batch_size
        self.drop_last = False
        self._seed = seed
        self._distinct = distinct
        self._epoch = 0
        self._batches: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, None

    def __len__(self) -> int:
        return len(self._current()[1])

    def __iter__(self) -> Iterator[list[int]]:
        rows, ends = self._current()
        start = 0
        for end in ends.tolist():
            yield rows[start:end].tolist()
            start = end

    def heaviest(self, padded: bool) -> list[int]:
        """Return the rows of the epoch's batch that needs most memory, a sentence in two rows counted twice.

        Args:
            padded: Whether its sentences are padded to the longest.
        """
        rows, ends = self._current()
        starts = np.concatenate(([0], ends[:-1]))
        lengths = self._tokens.lengths[self._tokens.columns[:, rows]]
        if padded:
            sizes = np.maximum.reduceat(lengths.max(axis=0), starts) * (ends - starts)
        else:
            sizes = np.add.reduceat(lengths.sum(axis=0), starts)
        batch = int(sizes.argmax())
        return rows[starts[batch] : ends[batch]].tolist()

    def _current(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of the epoch in their order, (rows,), and where each batch ends in it, (batches,)."""
        if self._batches is None:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(self._tokens.rows)
            if self._distinct:
                order, ends = self._without_repeats(order)
            else:
                ends = np.minimum(np.arange(self.batch_size, len(order) + self.batch_size, self.batch_size), len(order))
            self._batches = order, ends
        return self._batches

    def _without_repeats(self, order: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        columns = np.ascontiguousarray(self._tokens.columns[:, order].T)  # the sentences of each place in the order
        waiting: deque[int] = deque()  # places passed by, which come first
        upcoming = 0
        places = np.empty_like(order)
        ends: list[int] = []
        filled = 0
        while filled < len(order):
            plain = columns[upcoming : upcoming + self.batch_size]
            if not waiting and len(np.unique(plain)) == plain.size:
                count = len(plain)
                places[filled : filled + count] = np.arange(upcoming, upcoming + count)
                upcoming += count
            else:
                batch: list[int] = []
                seen: set[int] = set()
                postponed: list[int] = []
                while len(batch) < self.batch_size and len(postponed) < _LOOK_AHEAD * self.batch_size:
                    if waiting:
                        place = waiting.popleft()
                    elif upcoming < len(order):
                        place, upcoming = upcoming, upcoming + 1
                    else:
                        break
                    sentences = columns[place].tolist()
                    if seen.isdisjoint(sentences):
                        batch.append(place)
                        seen.update(sentences)
                    else:
                        postponed.append(place)
                waiting.extendleft(reversed(postponed))
                count = len(batch)
                places[filled : filled + count] = batch
            filled += count
            ends.append(filled)
        return order[places], np.array(ends, dtype=np.int64)
