"""The forgetting check: does the tuned model still order general English sentences as its base does?"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.embedding_similarity import EmbeddingSimilarityEvaluator
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.verdict import bootstrap_interval
from workbench.number_text import decimal, signed

GENERAL_PAIRS = Path(__file__).parent / "general_pairs.csv"
HIGHEST_SCORE = 5.0
BLOCK = 3
"""Pairs whose texts are crossed with one another; a block is what the bootstrap draws, so no sentence is in two of its units."""
TOLERANCE = 0.01
"""A loss of rank correlation that may be overlooked. Tuning that costs 0.04 of the rank correlation on the rows of another data set
costs 0.015 and more here, where half of the pairs are unrelated."""
LEAST_ABILITY = 0.3
"""Below this rank correlation a base has no general ability worth speaking of."""
NOTICEABLE_DRIFT = 0.1
STRONG_DRIFT = 0.25
"""Rises of the mean cosine of unrelated texts. A threshold of the base is useless from about the first one on; after the second,
texts that have nothing in common look similar."""


@dataclass(frozen=True)
class GeneralCheck:
    """Tuned against base on general sentences.

    Attributes:
        outcome: `kept`, `lost`, `cannot_tell` or, where nothing was measured, `not_checked`.
        before: The base's rank correlation, None where it was not measured.
        after: The tuned model's.
        difference: after - before.
        interval: 95% interval of the difference.
        pairs: Pairs measured that were scored one by one; as many crossed ones are measured beside them.
        unrelated_before: The base's mean cosine of unrelated texts.
        unrelated_after: The tuned model's.
        drift: How much unrelated texts have come closer to one another: `none`, `noticeable` or `strong`; None where not measured.
        sentence: All of it as plain text.
    """

    outcome: str
    before: float | None
    after: float | None
    difference: float | None
    interval: tuple[float, float] | None
    pairs: int
    unrelated_before: float | None
    unrelated_after: float | None
    drift: str | None
    sentence: str

    @property
    def unrelated_cosine(self) -> dict[str, float] | None:
        """Mean cosine of unrelated texts `before` and `after`, None where it was not measured."""
        if self.unrelated_before is None or self.unrelated_after is None:
            return None
        return {"before": self.unrelated_before, "after": self.unrelated_after}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = asdict(self)
        data["interval"] = None if self.interval is None else list(self.interval)
        del data["unrelated_before"], data["unrelated_after"]
        return {**data, "unrelated_cosine": self.unrelated_cosine}


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


def crossed_places(pairs: int) -> NDArray[np.int64]:
    """Return for each pair the one whose second text its first text is crossed with, (pairs,): the next one of its block."""
    places = np.arange(pairs)
    start = places // BLOCK * BLOCK
    length = np.minimum(BLOCK, pairs - start)
    return start + (places - start + 1) % length


def general_evaluator() -> EmbeddingSimilarityEvaluator:
    """Return the evaluator of the general set: the scored pairs, then as many of unrelated texts, scored 0.

    Without the unrelated ones a model could lift the cosines of all that it does not know, above pairs that are related, and no one
    would see it.
    """
    first, second, scores = load_general_pairs()
    crossed = [second[place] for place in crossed_places(len(first))]
    return EmbeddingSimilarityEvaluator([[*first, *first], [*second, *crossed]], [*scores, *[0.0] * len(first)])


def not_checked(reason: str) -> GeneralCheck:
    """Return the answer where nothing was measured.

    Args:
        reason: Why, as the end of a sentence.
    """
    nothing = (None, None, None, None, 0, None, None, None)
    return GeneralCheck("not_checked", *nothing, f"General ability was not checked: {reason}.")


def check_general(before: Evaluation, after: Evaluation, seed: int = 0) -> GeneralCheck:
    """Compare two models on the general set by a paired bootstrap that draws blocks of pairs, which share no sentence.

    A block is three scored pairs and the three crossed from their texts (a cluster bootstrap; Davison and Hinkley 1997, 3.8).

    Args:
        before: The base.
        after: The tuned model.
        seed: Of the resampling.
    """
    if not (np.isfinite(before.value) and np.isfinite(after.value)):
        return not_checked("a model gives all pairs the same cosine, so that there is no order to compare")
    pairs = after.rows // 2
    difference = after.value - before.value
    low, high = bootstrap_interval(before, after, np.tile(np.arange(pairs) // BLOCK, 2), seed)
    unrelated = _unrelated(before, pairs), _unrelated(after, pairs)
    rise = unrelated[1] - unrelated[0]
    drift = "strong" if rise > STRONG_DRIFT else "noticeable" if rise > NOTICEABLE_DRIFT else "none"
    moved = (
        f"on {pairs} pairs of everyday English sentences and as many unrelated ones the rank correlation with their scores went from "
        f"{decimal(before.value, 3)} to {decimal(after.value, 3)} ({signed(difference, 3)}, 95% interval {signed(low, 3)} to {signed(high, 3)})"
    )
    outcome = "lost" if high < 0 and low < -TOLERANCE else "kept" if low >= -TOLERANCE else "cannot_tell"
    opening = {
        "lost": "General ability was lost",
        "kept": "General ability was gained" if low > 0 else "General ability was kept",
        "cannot_tell": "Whether general ability was kept cannot be told",
    }[outcome]
    if before.value < LEAST_ABILITY and outcome == "kept" and low <= 0:
        outcome, opening = "cannot_tell", "Little to lose, as the base itself hardly follows general English"
    sentence = f"{opening}: {moved}. {_drift_words(drift, *unrelated)}"
    return GeneralCheck(outcome, before.value, after.value, difference, (low, high), pairs, *unrelated, drift, sentence)


def _unrelated(evaluation: Evaluation, pairs: int) -> float:
    """Return the mean cosine of the crossed texts."""
    assert evaluation.describe is not None
    return float(evaluation.describe().cosines[pairs:].mean())


def _drift_words(drift: str, before: float, after: float) -> str:
    moved = f"the mean cosine of unrelated texts went from {decimal(before, 2)} to {decimal(after, 2)}"
    if drift == "none":
        return f"{moved[0].upper()}{moved[1:]}."
    warning = {
        "noticeable": "Unrelated texts have come closer to one another",
        "strong": "Unrelated texts now look similar",
    }[drift]
    return f"{warning}: {moved}; a high cosine alone no longer means that two texts are related."
