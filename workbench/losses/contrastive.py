"""Matches together, the others a margin apart."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from workbench.losses.loss import Loss, require_labels


class ContrastiveLoss(Loss):
    """Mean of (y d^2 + (1 - y) max(0, margin - d)^2) / 2 with d = 1 - cosine (Hadsell, Chopra and LeCun 2006).

    Args:
        margin: Distance beyond which a non-match adds nothing.
    """

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take two columns (rows, width) and labels (rows,), 1 for a match and 0 for none."""
        first, second = embeddings
        distance = 1 - functional.cosine_similarity(first, second)
        match = require_labels(labels, self).to(distance.dtype)
        losses = match * distance.square() + (1 - match) * functional.relu(self.margin - distance).square()
        return losses.mean() / 2
