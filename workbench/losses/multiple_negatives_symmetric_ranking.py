"""The right partner among all partners of the batch, in both directions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from workbench.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss


class MultipleNegativesSymmetricRankingLoss(MultipleNegativesRankingLoss):
    """Mean of the ranking loss from anchor to positive and of that from positive to anchor.

    For texts of which either may be asked for: paraphrases, titles and their articles, translations.

    Args:
        scale: Factor on the cosines, 1 / temperature.
    """

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take anchors and positives, each (rows, width); labels are not used."""
        anchors, positives = embeddings
        return (super().forward([anchors, positives]) + super().forward([positives, anchors])) / 2
