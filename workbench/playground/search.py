"""Ranking texts by their cosine with a query, and how two models' rankings differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConfigError


@dataclass(frozen=True)
class Hit:
    """One text that was found.

    Attributes:
        rank: Its place, from 1.
        row: Its index in the corpus.
        text: What it says.
        score: Its cosine with the query.
        other_rank: Its place with the other model, from 1; None where there is no other.
        change: Places it stands higher (positive) or lower than with the other model; None where there is no other, and where the
            other does not have it among its first `k`: then it is new.
    """

    rank: int
    row: int
    text: str
    score: float
    other_rank: int | None = None
    change: int | None = None


def ranking(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the rows by descending score; equal scores keep the order of the corpus."""
    return np.asarray(np.argsort(-scores, kind="stable"), dtype=np.int64)


def ranks(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return each row's place, from 1."""
    order = ranking(scores)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(1, len(order) + 1)
    return places


def best_hits(scores: NDArray[np.floating], texts: Sequence[str], k: int, other: NDArray[np.floating] | None = None) -> list[Hit]:
    """Return the `k` texts with the highest scores.

    Args:
        scores: Cosine of each text with the query, (texts,).
        texts: The corpus.
        k: How many; fewer where there are no more.
        other: Another model's scores of the same texts, to say how places changed.

    Raises:
        ConfigError: If `k` is no whole number from 1.
    """
    if k < 1:
        raise ConfigError(f"`k` must be a whole number from 1, got {k}.", field="k")
    places = None if other is None else ranks(other)
    hits = []
    for rank, row in enumerate(ranking(scores)[:k].tolist(), start=1):
        other_rank = None if places is None else int(places[row])
        change = None if other_rank is None or other_rank > k else other_rank - rank
        hits.append(Hit(rank, row, texts[row], float(scores[row]), other_rank, change))
    return hits
