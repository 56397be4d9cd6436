"""The forgetting check: does the tuned model still order general English sentences as its base does?"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from workbench.evaluation.embedding_similarity import EmbeddingSimilarityEvaluator
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.verdict import bootstrap_interval

GENERAL_PAIRS = Path(__file__).parent / "general_pairs.csv"
HIGHEST_SCORE = 5.0
TOLERANCE = 0.05
"""A loss of rank correlation that may be overlooked."""
LEAST_ABILITY = 0.3
"""Below this rank correlation a base has no general ability worth speaking of."""


@dataclass(frozen=True)
class GeneralCheck:
    """Tuned against base on general sentences.

    Attributes:
        outcome: `kept`, `lost`, `gained`, `unclear`, `little` (the base had hardly any) or `not_checked`.
        before: The base's rank correlation, None where it was not measured.
        after: The tuned model's.
        difference: after - before.
        interval: 95 % interval of the difference.
        rows: Pairs measured.
        sentence: All of it in plain words.
    """

    outcome: str
    before: float | None
    after: float | None
    difference: float | None
    interval: tuple[float, float] | None
    rows: int
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = asdict(self)
        data["interval"] = None if self.interval is None else list(self.interval)
        return data


@cache
def load_general_pairs() -> tuple[tuple[str, ...], tuple[str, ...], tuple[float, ...]]:
    """Return first texts, second texts and scores (0 to 1) of the general set."""
    with GENERAL_PAIRS.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return (
        tuple(row["sentence1"] for row in rows),
        tuple(row["sentence2"] for row in rows),
        tuple(float(row["score"]) / HIGHEST_SCORE for row in rows),
    )


def general_evaluator() -> EmbeddingSimilarityEvaluator:
    """Return the evaluator of the general set; a few hundred short sentences, a second or two on a CPU."""
    first, second, scores = load_general_pairs()
    return EmbeddingSimilarityEvaluator([first, second], scores)


def not_checked(reason: str) -> GeneralCheck:
    """Return the answer where nothing was measured.

    Args:
        reason: Why, as the end of a sentence.
    """
    return GeneralCheck("not_checked", None, None, None, None, 0, f"General ability was not checked: {reason}.")


def check_general(before: Evaluation, after: Evaluation, seed: int = 0) -> GeneralCheck:
    """Compare two models on the general set by a paired bootstrap over its pairs, which share no sentence.

    Args:
        before: The base.
        after: The tuned model.
        seed: Of the resampling.
    """
    if not (np.isfinite(before.value) and np.isfinite(after.value)):
        return not_checked("a model gives all pairs the same cosine, so that there is no order to compare")
    difference = after.value - before.value
    low, high = bootstrap_interval(before, after, None, seed)
    numbers = (before.value, after.value, difference, (low, high), after.rows)
    moved = (
        f"on {after.rows} pairs of everyday English sentences the rank correlation with their scores went from "
        f"{before.value:.3f} to {after.value:.3f} ({difference:+.3f}, 95 % interval {low:+.3f} to {high:+.3f})"
    )
    if before.value < LEAST_ABILITY and high >= 0:
        return GeneralCheck("little", *numbers, f"Little to lose: the base itself hardly follows general English; {moved}.")
    if high < 0:
        return GeneralCheck("lost", *numbers, f"General ability was lost: {moved}.")
    if low > 0:
        return GeneralCheck("gained", *numbers, f"General ability was gained: {moved}.")
    if low >= -TOLERANCE:
        return GeneralCheck("kept", *numbers, f"General ability was kept: {moved}.")
    return GeneralCheck("unclear", *numbers, f"Whether general ability was kept cannot be told: {moved}.")
