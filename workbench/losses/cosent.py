"""The order of the cosines against the order of the scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.losses.blocks import in_row_blocks
from workbench.losses.loss import Loss, require_labels

# Its exponential is 0, and so is its gradient; with -inf a block of nothing else would have none.
MASKED = -1e12


class CoSENTLoss(Loss):
    """log(1 + sum over all i, j with y_i < y_j of exp(scale (s_i - s_j))), s the cosine and y the score of a pair (Su 2022).

    Args:
        scale: Factor on the cosines.
    """

    def __init__(self, scale: float = 20.0) -> None:
        super().__init__()
        self.scale = scale

    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the similarity of each pair, (rows,)."""
        return functional.cosine_similarity(first, second)

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take two columns (rows, width) and scores (rows,); only their order counts."""
        first, second = embeddings
        scores = self.similarity(first, second) * self.scale
        wanted = require_labels(labels, self)

        def gathered(some: Tensor, their_wanted: Tensor) -> Tensor:
            difference = some.unsqueeze(1) - scores.unsqueeze(0)  # (i, j): s_i - s_j
            not_ordered = their_wanted.unsqueeze(1) >= wanted.unsqueeze(0)
            return torch.logsumexp(difference.masked_fill(not_ordered, MASKED).flatten(), dim=0)

        terms = in_row_blocks(gathered, (scores, wanted), len(scores))
        return torch.logsumexp(torch.cat([terms, terms.new_zeros(1)]), dim=0)
