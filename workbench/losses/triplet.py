"""The wrong text farther away than the right one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.losses.loss import Loss


class TripletLoss(Loss):
    """Mean of max(0, |a - p| - |a - n| + margin), Euclidean (Schroff, Kalenichenko and Philbin 2015).

    Args:
        triplet_margin: By how much the negative must be farther away.
    """

    def __init__(self, triplet_margin: float = 5.0) -> None:
        super().__init__()
        self.triplet_margin = triplet_margin

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take anchors, positives and negatives, each (rows, width); labels are not used."""
        anchor, positive, negative = embeddings
        # The norm's gradient at a distance of 0 is 0; that of a square root would be NaN.
        near = torch.linalg.vector_norm(anchor - positive, dim=-1)
        far = torch.linalg.vector_norm(anchor - negative, dim=-1)
        return functional.relu(near - far + self.triplet_margin).mean()
