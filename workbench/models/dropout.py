"""Dropout on the sentence vector."""

from __future__ import annotations

from typing import Any

from torch import nn

from workbench.models.layer import Features, SentenceLayer


class Dropout(SentenceLayer):
    """While training, set a random share of the sentence vector to zero and scale up the rest.

    Args:
        dropout: The share, 0 to 1.
    """

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = dropout
        self.dropout_layer = nn.Dropout(dropout)

    def forward(self, features: Features) -> Features:
        """Read and write `sentence_embedding` (rows, width)."""
        features["sentence_embedding"] = self.dropout_layer(features["sentence_embedding"])
        return features

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"dropout": self.dropout}
