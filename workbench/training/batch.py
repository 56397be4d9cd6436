"""Rows of the training part as the model takes them: every distinct sentence once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.models.layer import Features
from workbench.models.layout import put_on
from workbench.training.tokens import Tokens


@dataclass(frozen=True)
class Batch:
    """One batch.

    Attributes:
        token_ids: Tokens of each sentence to embed, shortest first.
        columns: For each text column, which sentence is in each row, int64 (rows,).
        labels: Scores, labels or class indices, (rows,), or None.
        features: What the encoder takes of all sentences at once, on its device already; None where they are embedded in parts.
    """

    token_ids: Sequence[list[int]]
    columns: list[Tensor]
    labels: Tensor | None
    features: Features | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0])

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its numbers on a device; the tokens follow when they are embedded."""
        labels = None if self.labels is None else put_on(device, self.labels)
        columns = list(put_on(device, torch.stack(self.columns)))
        return Batch(self.token_ids, columns, labels, self.features)


class Collate:
    """Makes a batch of row numbers.

    Args:
        tokens: The tokenised training part.
        labels: Its labels, or None.
    """

    def __init__(self, tokens: Tokens, labels: NDArray[np.generic] | None) -> None:
        self._tokens = tokens
        self._labels = labels

    @property
    def rows(self) -> int:
        """Number of rows of the training part."""
        return self._tokens.rows

    def __call__(self, rows: Sequence[int]) -> Batch:
        """Return the batch of some rows.

        A row whose own columns hold the same sentence keeps a copy for each: dropout then sees it twice, which is all
        that unsupervised SimCSE trains on.
        """
        chosen = self._tokens.columns[:, list(rows)]
        keys = chosen + len(self._tokens.lengths) * _repeats_within_row(chosen)
        distinct, inverse = np.unique(keys, return_inverse=True)
        sequences = distinct % len(self._tokens.lengths)
        order = np.argsort(self._tokens.lengths[sequences], kind="stable")
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        columns = torch.from_numpy(position[inverse.reshape(chosen.shape)])
        labels = None if self._labels is None else torch.as_tensor(self._labels[list(rows)])
        if labels is not None and labels.dtype == torch.float64:
            labels = labels.float()
        return Batch(self._tokens.gather(sequences[order]), list(columns), labels)


def _repeats_within_row(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each text was in its row already, (columns, rows)."""
    repeats = np.zeros_like(chosen)
    for column in range(1, len(chosen)):
        repeats[column] = (chosen[:column] == chosen[column]).sum(axis=0)
    return repeats
