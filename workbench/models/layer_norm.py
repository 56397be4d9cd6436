"""Layer normalisation of the sentence vector."""

from __future__ import annotations

from typing import Any

from torch import nn

from workbench.models.layer import Features, SentenceLayer


class LayerNorm(SentenceLayer):
    """Centre and scale each sentence vector, then apply a learned scale and shift (Ba, Kiros and Hinton 2016).

    Args:
        dimension: Width of the sentence vector.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.norm = nn.LayerNorm(dimension)

    def get_sentence_embedding_dimension(self) -> int:
        """Return the width of the sentence vector."""
        return self.dimension

    get_embedding_dimension = get_sentence_embedding_dimension

    def forward(self, features: Features) -> Features:
        """Read and write `sentence_embedding` (rows, width)."""
        features["sentence_embedding"] = self.norm(features["sentence_embedding"])
        return features

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"dimension": self.dimension}
