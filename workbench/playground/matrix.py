"""How alike texts are to a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.playground.process import EncoderProcess


def similarity(encoder: EncoderProcess, models: Sequence[str], texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Return, for each model, the cosine similarity of every text with every other, (texts, texts).

    Raises:
        WorkbenchError: If a model cannot be loaded or the texts cannot be encoded.
    """
    return {model: cosine_matrix(encoder.encode(model, texts)) for model in dict.fromkeys(models)}


def cosine_matrix(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine similarity of each vector with each other, (n, n) for (n, d); a zero vector is like nothing."""
    numbers = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(numbers, axis=1, keepdims=True)
    units = np.divide(numbers, lengths, out=np.zeros_like(numbers), where=lengths > 0)
    matrix: NDArray[np.float32] = np.clip(units @ units.T, -1.0, 1.0).astype(np.float32)
    return matrix
