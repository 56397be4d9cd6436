"""Batches padded to sizes that come again, so that a step that was recorded for one serves for the next.

Packed batches differ in how many tokens and sentences they have, and what is recorded knows one number of each. So sentences that
no one looks at fill them up: no row of the loss points at them, so their gradient is zero, and they add nothing to any weight's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.models.layout import StaticLayout, packed_numbers, pin_for
from workbench.models.token_ids import TokenIds
from workbench.training.batch import Batch

GRAIN = 256
"""Tokens are rounded up to a multiple of this, or of a sixteenth of their number where that is more."""
_SHORTEST = 16
"""What `longest` is rounded up to at least, by powers of two."""


@dataclass(frozen=True)
class Bucket:
    """The sizes of a step.

    Attributes:
        tokens: All of them, the filling ones too.
        sentences: Likewise.
        longest: No sentence has more tokens.
        rows: Rows of the batch.
        columns: Text columns.
        labels: Type of the labels; None where there are none.
    """

    tokens: int
    sentences: int
    longest: int
    rows: int
    columns: int
    labels: torch.dtype | None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many whole numbers stand for tokens, layout and columns."""
        return self.tokens, 2 * (self.sentences + self.tokens), self.rows * self.columns


@dataclass(frozen=True)
class BucketedBatch:
    """A batch filled up to a bucket, in the host's memory.

    Attributes:
        bucket: Its sizes.
        numbers: Tokens, layout and columns one after the other, int64.
        labels: (rows,) or None.
        tokens: Those that are no filling.
    """

    bucket: Bucket
    numbers: Tensor
    labels: Tensor | None
    tokens: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.bucket.rows


def fill_up(batch: Batch, limit: int, filler: int, device: torch.device, grain: int = GRAIN) -> BucketedBatch | None:
    """Return a batch filled up to its bucket; None where a text has no token at all, which packed batches do not hold.

    Args:
        batch: In the host's memory.
        limit: The most tokens that the encoder takes, at least 2.
        filler: Token of the filling.
        device: Where it will be copied to.
        grain: The smallest step from one number of tokens to the next.
    """
    ids = TokenIds.of(batch.token_ids)
    count, tokens = len(ids), len(ids.flat)
    if ids.lengths.min() < 1:
        return None
    longest = min(limit, max(_SHORTEST, _power_of_two(int(ids.lengths.max()))))
    grain = max(grain, (1 << tokens.bit_length() - 1) // 16)
    # Every place for a sentence is taken, by at least one token; with as many more places as it takes to hold the rest of a grain.
    spare = -(-(grain - 1) // (longest - 1))
    sentences = batch.rows * len(batch.columns) + spare
    fillers = sentences - count
    filled = -(-(tokens + fillers) // grain) * grain
    each, more = divmod(filled - tokens, fillers)
    lengths = np.concatenate((ids.lengths, np.full(fillers, each) + (np.arange(fillers) < more)))
    columns = torch.stack(batch.columns).numpy().ravel()
    numbers = np.concatenate((ids.flat, np.full(filled - tokens, filler), packed_numbers(lengths), columns))
    labels = None if batch.labels is None else pin_for(device, batch.labels)
    bucket = Bucket(filled, sentences, longest, batch.rows, len(batch.columns), None if labels is None else labels.dtype)
    return BucketedBatch(bucket, pin_for(device, torch.from_numpy(numbers)), labels, tokens)


class Buffers:
    """The memory from which every step of a bucket reads its batch.

    Args:
        bucket: What it holds.
        device: Where.
    """

    def __init__(self, bucket: Bucket, device: torch.device) -> None:
        self._bucket = bucket
        self._numbers = torch.zeros(sum(bucket.sizes), dtype=torch.int64, device=device)
        self._labels = None if bucket.labels is None else torch.zeros(bucket.rows, dtype=bucket.labels, device=device)

    def fill(self, batch: BucketedBatch) -> None:
        """Write a batch over the one before; a GPU does so once it is done with that."""
        self._numbers.copy_(batch.numbers, non_blocking=True)
        if self._labels is not None and batch.labels is not None:
            self._labels.copy_(batch.labels, non_blocking=True)

    def batch(self) -> Batch:
        """Return the batch that lies here, or will lie here, as the network takes it."""
        bucket = self._bucket
        input_ids, layout, columns = self._numbers.split(bucket.sizes)
        features = {"input_ids": input_ids, "layout": StaticLayout(layout, bucket.sentences, bucket.longest)}
        return Batch((), list(columns.view(bucket.columns, bucket.rows)), self._labels, features)


def _power_of_two(number: int) -> int:
    """Return the smallest power of two that is no smaller."""
    return 1 << max(0, number - 1).bit_length()
