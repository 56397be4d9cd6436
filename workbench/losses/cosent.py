"""The order of the cosines against the order of the scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.losses.loss import Loss, require_labels


class CoSENTLoss(Loss):
    """log(1 + sum over all i, j with y_i < y_j of exp(scale (s_i - s_j))), s the cosine and y the score of a pair (Su 2022).

    Args:
        scale: Factor on the cosines.
    """

    def __init__(self, scale: float = 20.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take two columns (rows, width) and scores (rows,); only their order counts."""
        first, second = embeddings
        scores = functional.cosine_similarity(first, second) * self.scale
        wanted = require_labels(labels, self)
        difference = scores.unsqueeze(1) - scores.unsqueeze(0)  # (i, j): s_i - s_j
        out_of_question = wanted.unsqueeze(1) >= wanted.unsqueeze(0)
        terms = difference.masked_fill(out_of_question, float("-inf")).flatten()
        return torch.logsumexp(torch.cat([terms, terms.new_zeros(1)]), dim=0)
