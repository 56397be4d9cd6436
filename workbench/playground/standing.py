"""How cosines stand in their own model: which pair comes first, how far one is from the threshold, and whether groups are told apart.

Cosines of two models are not on one scale: 0.5 may be unrelated to one and the same to another. So pairs are compared by what each
model itself makes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.playground.search import ranks

_LEAST_ROOM = 0.05
"""Cosine between "unrelated" and the threshold at the least, so that a shade never jumps."""


@dataclass(frozen=True)
class Standing:
    """Where each pair of texts is in one model.

    Attributes:
        places: Place of each pair among all pairs, from 1, the closest first; 0 for a text with itself, int64 (texts, texts).
        shades: From 0 (as far apart as unrelated texts) to 1 (the same); 0.5 is the threshold. Without a threshold the share of pairs
            that are not closer, float64 (texts, texts).
        matches: Whether the pair counts as a match, bool (texts, texts); None without a threshold.
    """

    places: NDArray[np.int64]
    shades: NDArray[np.float64]
    matches: NDArray[np.bool_] | None


def stand(matrix: NDArray[np.floating], threshold: float | None = None, unrelated: float | None = None) -> Standing:
    """Return where each pair of texts stands.

    Args:
        matrix: Cosines, (texts, texts).
        threshold: From which cosine on two texts count as a match; None where the model has none.
        unrelated: The model's mean cosine of unrelated texts; None takes the lowest cosine there is.
    """
    cosines = np.asarray(matrix, dtype=np.float64)
    upper = np.triu_indices(len(cosines), 1)
    places = np.zeros(cosines.shape, dtype=np.int64)
    places[upper] = ranks(cosines[upper])
    places += places.T
    if threshold is None:
        shades = _shares(cosines, cosines[upper])
    else:
        floor = scale_floor(threshold, float(cosines.min()) if unrelated is None else unrelated)
        above = 0.5 + 0.5 * (cosines - threshold) / max(1 - threshold, _LEAST_ROOM)
        below = 0.5 * (cosines - floor) / (threshold - floor)
        shades = np.clip(np.where(cosines >= threshold, above, below), 0.0, 1.0)
    np.fill_diagonal(shades, 1.0)
    return Standing(places, shades, None if threshold is None else cosines >= threshold)


def scale_floor(threshold: float, unrelated: float) -> float:
    """Return the cosine at which a scale with the threshold in its middle begins: that of unrelated texts, below the threshold in any case."""
    return min(unrelated, threshold - _LEAST_ROOM)


def _shares(cosines: NDArray[np.float64], pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of other pairs that each one is closer than; equal ones count half."""
    if len(pairs) < 2:
        return np.full(cosines.shape, 0.5)
    ordered = np.sort(pairs)
    lower, upper = (np.searchsorted(ordered, cosines, side) for side in ("left", "right"))
    return np.asarray(np.clip(((lower + upper - 1) / 2) / (len(pairs) - 1), 0.0, 1.0), dtype=np.float64)


@dataclass(frozen=True)
class GroupsTold:
    """How well a model tells groups of texts apart.

    Attributes:
        within: Pairs of texts of one group.
        found: Those of them that count as a match; None without a threshold.
        across: Pairs of texts of two groups.
        mistaken: Those of them that count as a match; None without a threshold.
        in_order: Of a pair within a group and one across two, how often the first is closer; ties count half. 0.5 is chance.
    """

    within: int
    found: int | None
    across: int
    mistaken: int | None
    in_order: float


def tell_groups(matrix: NDArray[np.floating], labels: Sequence[str], threshold: float | None = None) -> GroupsTold | None:
    """Return how well a model tells groups apart; None where there are no two groups, or none of two texts.

    Args:
        matrix: Cosines, (texts, texts).
        labels: The group of each text.
        threshold: From which cosine on two texts count as a match; None where the model has none.
    """
    upper = np.triu_indices(len(matrix), 1)
    names = np.array(labels)
    same = (names[:, None] == names[None, :])[upper] if len(labels) == len(matrix) else np.zeros(len(upper[0]), dtype=np.bool_)
    if not same.any() or same.all():
        return None
    cosines = np.asarray(matrix, dtype=np.float64)[upper]
    within, across = cosines[same], cosines[~same]
    closer = (within[:, None] > across[None, :]).mean() + 0.5 * (within[:, None] == across[None, :]).mean()
    found, mistaken = (None if threshold is None else int((part >= threshold).sum()) for part in (within, across))
    return GroupsTold(len(within), found, len(across), mistaken, float(closer))
