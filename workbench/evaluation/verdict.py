"""Did it get better? Tuned against base on held-out rows, with an interval that knows which rows belong together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.evaluation import Evaluation
from workbench.number_text import decimal, signed

MINIMUM_GROUPS = 50
"""Groups of rows that a verdict needs; rows that share sentences are one group, since they tell little more than one row."""
_CONFIDENCE = 0.95

METRIC_WORDS = {
    "spearman_cosine": "rank correlation with the scores",
    "cosine_ap": "average precision",
    "cosine_accuracy": "share of triplets in the right order",
    "cosine_ndcg@10": "search quality (nDCG@10)",
    "probe_accuracy": "accuracy of a linear probe",
}


@dataclass(frozen=True)
class Verdict:
    """Tuned against base.

    Attributes:
        outcome: `better`, `no_clear_difference`, `worse` or `not_judged`.
        metric: Key of the metric compared.
        before: The base's value, None where it was not measured.
        after: The tuned model's value, None where it was not measured.
        difference: after - before.
        interval: 95% interval of the difference, None where not judged.
        rows: Held-out rows.
        sentence: The verdict as plain text.
        method: `held_out` (one test part) or `cross_validation` (every row held out in turn).
    """

    outcome: str
    metric: str
    before: float | None
    after: float | None
    difference: float | None
    interval: tuple[float, float] | None
    rows: int
    sentence: str
    method: str = "held_out"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = asdict(self)
        data["interval"] = None if self.interval is None else list(self.interval)
        return data


def not_judged(metric: str, reason: str, before: Evaluation | None = None, after: Evaluation | None = None) -> Verdict:
    """Return the verdict of a comparison that cannot be made.

    Args:
        metric: Key of the metric.
        reason: Why, as the end of a sentence.
        before: The base's evaluation, if there is one.
        after: The tuned model's evaluation, if there is one.
    """
    first, second = (None if side is None or not np.isfinite(side.value) else side.value for side in (before, after))
    difference = None if first is None or second is None else second - first
    rows = (after or before).rows if after or before else 0  # type: ignore[union-attr]
    return Verdict(
        "not_judged",
        metric,
        first,
        second,
        difference,
        None,
        rows,
        f"Not judged: {reason}.",
    )


def compute_verdict(before: Evaluation, after: Evaluation, groups: NDArray[np.int64] | None = None, seed: int = 0) -> Verdict:
    """Compare two models by a paired bootstrap that resamples groups of rows (Efron and Tibshirani 1993).

    Rows that share a sentence rise and fall together; drawn one by one they would make the interval too narrow.

    Args:
        before: The base on the test part.
        after: The tuned model on the same rows.
        groups: Group number of each row, (rows,); None if every row stands alone.
        seed: Of the resampling.
    """
    metric, rows = after.primary_metric, after.rows
    independent = count_groups(after, groups)
    if independent < MINIMUM_GROUPS:
        held_out = (
            f"{rows} held-out rows"
            if independent == rows
            else f"{rows} held-out rows, in {independent} groups that share sentences,"
        )
        return not_judged(
            metric, f"{held_out} are too few to tell luck from learning; {MINIMUM_GROUPS} that share none are needed", before, after
        )
    if not (np.isfinite(before.value) and np.isfinite(after.value)):
        whose = (
            "both models"
            if not np.isfinite(before.value) and not np.isfinite(after.value)
            else ("the tuned model" if np.isfinite(before.value) else "the base")
        )
        words = METRIC_WORDS.get(metric, metric)
        reason = f"the {words} of {whose} is not measurable, because all cosines or all values of the held-out rows are equal"
        return not_judged(metric, reason, before, after)
    low, high = bootstrap_interval(before, after, groups, seed)
    difference = after.value - before.value
    outcome = "better" if low > 0 else "worse" if high < 0 else "no_clear_difference"
    words = METRIC_WORDS.get(metric, metric)
    moved = f"{words} went from {decimal(before.value, 3)} to {decimal(after.value, 3)} on {rows} held-out rows"
    spread = f"{signed(difference, 3)}, 95% interval {signed(low, 3)} to {signed(high, 3)}"
    opening = {
        "better": "Better than the base:",
        "worse": "Worse than the base:",
        "no_clear_difference": "No clear difference from the base:",
    }[outcome]
    return Verdict(outcome, metric, before.value, after.value, difference, (low, high), rows, f"{opening} {moved} ({spread}).")


def count_groups(evaluation: Evaluation, groups: NDArray[np.int64] | None) -> int:
    """Return how many units of a measurement share no sentence with one another.

    Args:
        evaluation: The measurement.
        groups: Group number of each row, (rows,); None if every row stands alone.
    """
    return len(np.unique(evaluation.units if groups is None else np.asarray(groups)[evaluation.units]))


def bootstrap_interval(
    before: Evaluation, after: Evaluation, groups: NDArray[np.int64] | None, seed: int, confidence: float = _CONFIDENCE
) -> tuple[float, float]:
    """Return the percentile interval of the difference of the primary metrics, over the resamples on which both can be measured."""
    units = after.units
    group_of_unit = units if groups is None else np.asarray(groups)[units]
    _, group_index = np.unique(group_of_unit, return_inverse=True)
    order = np.argsort(group_index, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group_index))[:-1])
    generator = np.random.default_rng(seed)
    resamples = 2000 if len(units) <= 2000 else 500
    differences = np.empty(resamples)
    for index in range(resamples):
        drawn = generator.integers(0, len(members), len(members))
        chosen = np.concatenate([members[group] for group in drawn])
        differences[index] = after.statistic(chosen) - before.statistic(chosen)
    tail = (1 - confidence) / 2
    # A few resamples of few rows may hold one score only, on which there is no correlation.
    low, high = np.nanquantile(differences, [tail, 1 - tail])
    return float(low), float(high)
