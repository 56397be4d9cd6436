"""The class of a pair, named by a linear classifier on u, v and |u - v|."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.losses.loss import Loss, require_labels


class SoftmaxLoss(Loss):
    """Cross entropy of W [u; v; |u - v|] (Reimers and Gurevych 2019, classification objective). W is trained, not saved.

    Args:
        embedding_dimension: Width of the sentence vectors.
        num_labels: Number of classes.
    """

    def __init__(self, embedding_dimension: int, num_labels: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(3 * embedding_dimension, num_labels)

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take two columns (rows, width) and class indices (rows,)."""
        first, second = embeddings
        logits = self.classifier(torch.cat([first, second, (first - second).abs()], dim=-1))
        return functional.cross_entropy(logits, require_labels(labels, self).long())
