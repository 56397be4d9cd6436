"""How well cosines follow the scores of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.evaluation import Details, Encode, Evaluation, Evaluator

MIDDLE = 0.5
"""Scores from here on count as matches where pairs are told apart by a threshold; scores are 0 to 1."""


class EmbeddingSimilarityEvaluator(Evaluator):
    """Rank correlation (Spearman) and linear correlation (Pearson) between the cosine of each pair and its score."""

    def __call__(self, encode: Encode) -> Evaluation:
        """Measure one model; needs two columns and a score for each row."""
        assert self.labels is not None
        cosine, scores = self.cosine(encode), self.labels.astype(np.float64)
        metrics = {"spearman_cosine": spearman(cosine, scores), "pearson_cosine": pearson(cosine, scores)}
        return Evaluation(
            metrics,
            "spearman_cosine",
            self.rows,
            np.arange(self.rows),
            lambda units: spearman(cosine[units], scores[units]),
            lambda: Details({"cosine": cosine}, rank_distance(cosine, scores), cosine, (scores >= MIDDLE).astype(np.int64), scores),
        )


def mean_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rank of each value, from 0; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts + 1) / 2)[inverse], dtype=np.float64)


def rank_distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Return for each row how far apart its two ranks are, as a share of the farthest they could be."""
    return np.asarray(np.abs(mean_ranks(a) - mean_ranks(b)) / max(len(a) - 1, 1))


def pearson(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the linear correlation; NaN where one side is constant, since nothing can be told from it."""
    x, y = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum() / scale) if scale > 1e-12 else float("nan")


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the rank correlation."""
    return pearson(mean_ranks(a), mean_ranks(b))
