"""The right partner among all partners of the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.losses.blocks import in_row_blocks
from workbench.losses.loss import Loss


class MultipleNegativesRankingLoss(Loss):
    """Cross entropy of scale * cosine(anchor_i, candidate_j) with target j = i (Henderson et al. 2017).

    The candidates of every anchor are all positives and all negatives of the batch. So a text must not stand twice in a
    batch, or it would be a wrong answer to itself; the training's sampler sees to that.

    Args:
        scale: Factor on the cosines, 1 / temperature.
    """

    def __init__(self, scale: float = 20.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take anchors, positives and any number of negative columns, each (rows, width); labels are not used."""
        anchors, *others = (functional.normalize(column, dim=-1) for column in embeddings)
        candidates = torch.cat(others)
        targets = torch.arange(len(anchors), device=anchors.device)

        def summed(some: Tensor, wanted: Tensor) -> Tensor:
            return functional.cross_entropy(self.scale * some @ candidates.T, wanted, reduction="sum")

        return in_row_blocks(summed, (anchors, targets), len(candidates)).sum() / len(anchors)
