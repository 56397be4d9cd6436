"""Sentence vectors of length 1."""

from __future__ import annotations

from torch.nn import functional

from workbench.models.layer import Features, SentenceLayer


class Normalize(SentenceLayer):
    """Scale every sentence vector to Euclidean length 1."""

    def forward(self, features: Features) -> Features:
        """Read and write `sentence_embedding` (rows, width)."""
        features["sentence_embedding"] = functional.normalize(features["sentence_embedding"], p=2, dim=-1)
        return features
