"""Matches together, the others a margin apart, as far as the batch has them mixed up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.losses.contrastive import ContrastiveLoss
from workbench.losses.loss import require_labels


class OnlineContrastiveLoss(ContrastiveLoss):
    """The contrastive loss of a batch's hard pairs only, summed: d^2 and max(0, margin - d)^2 with d = 1 - cosine.

    Hard are matches farther apart than the nearest non-match of the batch, and non-matches nearer than its farthest match. Where
    a batch holds one of the two only, hard is what lies beyond its mean (as sentence-transformers selects them).

    Args:
        margin: Distance beyond which a non-match adds nothing.
    """

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take two columns (rows, width) and labels (rows,), 1 for a match and 0 for none."""
        first, second = embeddings
        distance = 1 - functional.cosine_similarity(first, second)
        match = require_labels(labels, self).view(-1) == 1
        # Masks rather than selected rows: how many there are is then no shape, and a GPU is asked nothing.
        both = match.any() & ~match.all()
        farthest = distance.masked_fill(~match, -torch.inf).max()
        nearest = distance.masked_fill(match, torch.inf).min()
        mean = distance.mean()
        hard_match = match & (distance > torch.where(both, nearest, mean))
        hard_other = ~match & (distance < torch.where(both, farthest, mean))
        apart = distance.square() * hard_match
        close = functional.relu(self.margin - distance).square() * hard_other
        return (apart + close).sum()
