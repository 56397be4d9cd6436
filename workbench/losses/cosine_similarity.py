"""Regression of the cosine on the score."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from workbench.losses.loss import Loss, require_labels


class CosineSimilarityLoss(Loss):
    """Mean squared difference between the cosine of a pair and its score (Reimers and Gurevych 2019, regression objective)."""

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take two columns (rows, width) and scores (rows,), 0 to 1."""
        first, second = embeddings
        cosine = functional.cosine_similarity(first, second)
        return functional.mse_loss(cosine, require_labels(labels, self).to(cosine.dtype))
