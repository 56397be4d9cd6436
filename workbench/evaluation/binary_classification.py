"""How well the cosine separates matching pairs from the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.evaluation import Details, Encode, Evaluation, Evaluator


class BinaryClassificationEvaluator(Evaluator):
    """Average precision, and accuracy and F1 at the threshold on the cosine that is best for each."""

    def __call__(self, encode: Encode) -> Evaluation:
        """Measure one model; needs two columns and labels 0 or 1."""
        assert self.labels is not None
        cosine, labels = self.cosine(encode), self.labels.astype(np.int64)
        accuracy, accuracy_threshold = best_accuracy(cosine, labels)
        f1, precision, recall, f1_threshold = best_f1(cosine, labels)
        metrics = {
            "cosine_accuracy": accuracy,
            "cosine_accuracy_threshold": accuracy_threshold,
            "cosine_f1": f1,
            "cosine_f1_threshold": f1_threshold,
            "cosine_precision": precision,
            "cosine_recall": recall,
            "cosine_ap": average_precision(cosine, labels),
            "cosine_mcc": matthews(cosine >= f1_threshold, labels),
        }
        return Evaluation(
            metrics,
            "cosine_ap",
            self.rows,
            np.arange(self.rows),
            lambda units: average_precision(cosine[units], labels[units]),
            lambda: Details({"cosine": cosine}, share_on_wrong_side(cosine, labels), cosine, labels, labels.astype(np.float64)),
        )


def share_on_wrong_side(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return for each row the share of the rows with the other label that it is ordered wrongly with; a tie counts half."""
    wrong = np.zeros(len(scores))
    for label in (0, 1):
        own, others = labels == label, np.sort(scores[labels != label])
        if len(others):
            below, upto = np.searchsorted(others, scores[own], "left"), np.searchsorted(others, scores[own], "right")
            under = (below + (upto - below) / 2) / len(others)
            wrong[own] = 1 - under if label == 1 else under
    return wrong


def _sweep(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return (hits, taken, lowest score taken) for every set of rows that some threshold picks; equal scores go together."""
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(labels[order])
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return hits[ends], ends + 1, ordered[ends]


def _thresholds(lowest: NDArray[Any]) -> NDArray[Any]:
    """Return thresholds half-way to the next lower score, so that they hold a little beyond the rows at hand."""
    return np.append((lowest[:-1] + lowest[1:]) / 2, lowest[-1])


def average_precision(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the sum over thresholds of precision times gain in recall; NaN where there is no match at all."""
    hits, taken, _ = _sweep(scores, labels)
    if hits[-1] == 0:
        return float("nan")
    return float((np.diff(hits, prepend=0) / hits[-1] * (hits / taken)).sum())


def best_accuracy(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[float, float]:
    """Return the best accuracy of "match from this cosine on", and that cosine."""
    hits, taken, lowest = _sweep(scores, labels)
    correct = hits + (len(labels) - taken) - (hits[-1] - hits)
    best = int(np.argmax(correct))
    return float(correct[best] / len(labels)), float(_thresholds(lowest)[best])


def best_f1(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[float, float, float, float]:
    """Return (F1, precision, recall, threshold) where F1 is best."""
    hits, taken, lowest = _sweep(scores, labels)
    total = max(int(hits[-1]), 1)
    f1 = 2 * hits / (taken + total)
    best = int(np.argmax(f1))
    return float(f1[best]), float(hits[best] / taken[best]), float(hits[best] / total), float(_thresholds(lowest)[best])


def matthews(predicted: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return Matthews' correlation of predictions and labels, both 0 or 1; 0 where one side is constant, as it is defined."""
    p, y = predicted.astype(np.float64), labels.astype(np.float64)
    scale = float(p.std() * y.std())
    return float(((p - p.mean()) * (y - y.mean())).mean() / scale) if scale > 0 else 0.0
