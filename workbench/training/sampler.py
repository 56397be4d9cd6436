"""Which rows share a batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from workbench.training.tokens import Tokens

_LOOK_AHEAD = 20
"""Batches' worth of clashing rows looked past before a batch is closed early; keeps the search linear."""


class ShuffledBatches(Sampler[list[int]]):
    """Batches of rows in an order that depends on seed and epoch alone.

    Args:
        tokens: The tokenised training part.
        batch_size: Rows a batch.
        seed: Of the order.
        distinct: Whether no sentence may stand in two rows of a batch. Rows that would repeat one wait for a later batch; the
            last batches are smaller where too few different rows are left, and every row comes exactly once an epoch.
    """

    def __init__(self, tokens: Tokens, batch_size: int, seed: int, distinct: bool = False) -> None:
        self._tokens = tokens
        self.batch_size = batch_size
        self.drop_last = False
        self._seed = seed
        self._distinct = distinct
        self._epoch = 0
        self._batches: list[list[int]] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, None

    def __len__(self) -> int:
        return len(self._current())

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._current()

    def _current(self) -> list[list[int]]:
        if self._batches is None:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(self._tokens.rows).tolist()
            self._batches = self._without_repeats(order) if self._distinct else _cut(order, self.batch_size)
        return self._batches

    def _without_repeats(self, order: list[int]) -> list[list[int]]:
        waiting = deque(order)
        batches: list[list[int]] = []
        while waiting:
            batch: list[int] = []
            seen: set[int] = set()
            postponed: list[int] = []
            while waiting and len(batch) < self.batch_size and len(postponed) < _LOOK_AHEAD * self.batch_size:
                row = waiting.popleft()
                sentences = set(self._tokens.columns[:, row].tolist())
                if sentences & seen:
                    postponed.append(row)
                else:
                    batch.append(row)
                    seen |= sentences
            waiting.extendleft(reversed(postponed))
            batches.append(batch)
        return batches


def _cut(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]
