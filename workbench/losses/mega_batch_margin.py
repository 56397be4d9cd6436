"""The right partner near, the hardest wrong one of a large batch far."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.losses.blocks import in_row_blocks
from workbench.losses.loss import Loss


class MegaBatchMarginLoss(Loss):
    """Mean of max(0, positive_margin - cos(a_i, p_i)) + max(0, max_j cos(a_i, p_j) - negative_margin), j not i (Wieting and Gimpel 2018).

    Args:
        positive_margin: Cosine from which the own partner costs nothing.
        negative_margin: Cosine up to which the hardest other partner costs nothing.
    """

    def __init__(self, positive_margin: float = 0.8, negative_margin: float = 0.3) -> None:
        super().__init__()
        self.positive_margin = positive_margin
        self.negative_margin = negative_margin

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take anchors and positives, each (rows, width); labels are not used."""
        anchors, positives = (functional.normalize(column, dim=-1) for column in embeddings)
        rows = torch.arange(len(anchors), device=anchors.device)

        def summed(some: Tensor, own: Tensor) -> Tensor:
            cosines = some @ positives.T
            right = cosines.gather(1, own.unsqueeze(1)).squeeze(1)
            # 2 below, the own partner is never the hardest of the others, and a batch of one row has none that costs anything.
            wrong = cosines.scatter_add(1, own.unsqueeze(1), torch.full_like(right, -2).unsqueeze(1)).max(dim=1).values
            costs = functional.relu(self.positive_margin - right) + functional.relu(wrong - self.negative_margin)
            return costs.sum()

        return in_row_blocks(summed, (anchors, rows), len(positives)).sum() / len(anchors)
