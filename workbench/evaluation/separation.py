"""How far apart a model puts right and wrong partners: two histograms of cosines, small enough to be kept at every evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.evaluation import Encode, Evaluator, Vectors

BINS = 100
"""Of equal width over cosines from -1 to 1, so 0.02 each: many encoders keep theirs in a narrow band."""

_OTHERS = 8
"""Wrong partners drawn for each row of matching pairs."""

Cosines = NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """Cosines of the pairs that should be close, and of those that should not.

    Attributes:
        positive: Cosines of right partners, (rows,).
        negative: Cosines of wrong partners, (rows,).
    """

    positive: Cosines
    negative: Cosines

    def to_dict(self) -> dict[str, Any]:
        """Return counts for each of the bins from -1 to 1, and the means (None where there is no such pair)."""
        return {
            "positive": _count(self.positive),
            "negative": _count(self.negative),
            "positive_mean": _mean(self.positive),
            "negative_mean": _mean(self.negative),
        }


def measure_separation(kind: str, evaluator: Evaluator, encode: Encode) -> Separation | None:
    """Return the cosines of right and wrong partners of the rows that an evaluator holds.

    Which are which: scored pairs in the upper and in the lower half of the scale; labelled pairs by their label; an anchor with its
    own positive and with those of up to eight other rows; an anchor with its positive and with its negative.

    Args:
        kind: Kind of the data set.
        evaluator: Holds the rows.
        encode: Texts to vectors; it is asked for the same texts as by the evaluator.

    Returns:
        None for pairs of several classes, which have no right and wrong.
    """
    if kind == "class_pairs":
        return None
    vectors = evaluator.embed(encode)
    own = _cosine(vectors[0], vectors[1])
    if kind == "triplets":
        return Separation(own, _cosine(vectors[0], vectors[2]))
    if kind == "pairs":
        left, right = _wrong_partners(evaluator.columns)
        return Separation(own, _cosine(vectors[0][left], vectors[1][right]))
    assert evaluator.labels is not None
    matches = evaluator.labels >= 0.5  # scores are stored as 0 to 1, labels as 0 and 1
    return Separation(own[matches], own[~matches])


def _wrong_partners(columns: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (rows of anchors, rows of positives) that are no pair of the data."""
    anchors, positives = columns[:2]
    known: Mapping[tuple[str, str], None] = dict.fromkeys(zip(anchors, positives, strict=True))
    rows = len(anchors)
    found = [
        (row, other)
        for shift in range(1, min(_OTHERS, rows - 1) + 1)
        for row in range(rows)
        if (anchors[row], positives[other := (row + shift) % rows]) not in known
    ]
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _cosine(a: Vectors, b: Vectors) -> Cosines:
    return np.asarray((a * b).sum(axis=1), dtype=np.float64)


def _count(cosines: Cosines) -> list[int]:
    # Rounding makes a cosine of 1.0000001 out of two equal vectors.
    return [int(count) for count in np.histogram(np.clip(cosines, -1, 1), BINS, (-1, 1))[0]]


def _mean(cosines: Cosines) -> float | None:
    return round(float(cosines.mean()), 4) if len(cosines) else None
