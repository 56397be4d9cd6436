"""Matches together, the others a margin apart, as far as the batch has them mixed up."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from workbench.losses.loss import Loss, require_labels


class OnlineContrastiveLoss(Loss):
    """The contrastive loss of a batch's hard pairs only, summed: d^2 and max(0, margin - d)^2 with d = 1 - cosine.

    Hard are matches farther apart than the nearest non-match of the batch, and non-matches nearer than its farthest match. Where
    a batch holds one of the two only, hard is what lies beyond its mean (as sentence-transformers selects them).

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
        match = require_labels(labels, self).view(-1) == 1
        near, far = distance[match], distance[~match]
        if len(near) == 0:
            near_limit, far_limit = far.mean(), far.mean()
        elif len(far) == 0:
            near_limit, far_limit = near.mean(), near.mean()
        else:
            near_limit, far_limit = far.min(), near.max()
        apart = near[near > near_limit].square().sum()
        close = functional.relu(self.margin - far[far < far_limit]).square().sum()
        return apart + close
