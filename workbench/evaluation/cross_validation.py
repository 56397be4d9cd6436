"""A verdict for small sets: every row is held out in turn, and what is judged is how such models do on rows they never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.verdict import METRIC_WORDS, MINIMUM_GROUPS, Verdict, not_judged
from workbench.number_text import decimal, signed

SMALL_SET = 350
"""From this many rows on, the usual share held out suffices for a verdict."""
FOLDS = 5
REPETITIONS = 2
TRAININGS = FOLDS * REPETITIONS
_LARGEST_GROUP = 2 / FOLDS
_STUDENT = 2.262
"""Two-sided 95% point of Student's t with TRAININGS - 1 = 9 degrees of freedom."""
_RESAMPLES = 1000


@dataclass(frozen=True)
class Fold:
    """One training of the cross-validation, measured on the rows that it left out.

    Attributes:
        rows: Those rows, by their number in the whole, (rows,).
        before: The base on them.
        after: The model tuned on all other rows.
    """

    rows: NDArray[np.int64]
    before: Evaluation
    after: Evaluation

    @property
    def difference(self) -> float:
        """After - before."""
        return self.after.value - self.before.value


def is_small(rows: int, groups: int, test_groups: int, largest: int) -> bool:
    """Return whether a set is too small for a held-out verdict, and large enough for one by cross-validation.

    Args:
        rows: Rows in all parts.
        groups: How many of them share no sentence.
        test_groups: As many of the test part; 0 without one.
        largest: Rows of the largest group.
    """
    return rows < SMALL_SET and test_groups < MINIMUM_GROUPS <= groups and largest <= _LARGEST_GROUP * rows


def assign_folds(groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, (rows,); a group never is in two folds.

    The largest groups are placed first, each into the fold with the fewest rows; equal ones in a random order.

    Args:
        groups: Group number of each row, (rows,).
        seed: Of that order.
    """
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of_group = np.empty(len(sizes), dtype=np.int64)
    filled = np.zeros(FOLDS, dtype=np.int64)
    for group in order:
        fold_of_group[group] = filled.argmin()
        filled[fold_of_group[group]] += sizes[group]
    return fold_of_group[index]


def judge_folds(folds: Sequence[Fold], groups: NDArray[np.int64], seed: int = 0) -> Verdict:
    """Compare tuned models with their base over all folds of all repetitions.

    The estimate is the mean difference over the folds. The interval is the wider one, on each side, of two:

    * A bootstrap that draws groups of rows. A group counts as often as it was drawn in every repetition alike, since the repetitions
      look at the same rows; drawn for each repetition again, doubling the repetitions would make the interval narrower for nothing
      (cluster bootstrap; Davison and Hinkley 1997, section 3.8). It knows of luck with rows, not of luck in training.
    * The corrected resampled t interval of Nadeau and Bengio (2003, "Inference for the Generalization Error"): with J differences of
      variance s2, the variance of their mean is (1/J + n_test/n_train) s2, not s2/J, because the training rows of any two folds
      overlap. It knows of luck in training, and takes nothing from how many rows there are.

    Args:
        folds: `TRAININGS` of them.
        groups: Group number of each row of the whole, (rows,).
        seed: Of the resampling.
    """
    metric = folds[0].after.primary_metric
    differences = np.array([fold.difference for fold in folds])
    if not np.isfinite(differences).all():
        count = int((~np.isfinite(differences)).sum())
        words = METRIC_WORDS.get(metric, metric)
        return not_judged(
            metric, f"the {words} is not measurable in {count} of {len(folds)} parts, whose cosines or values are all equal"
        )
    difference = float(differences.mean())
    low, high = _bootstrap(folds, groups, seed)
    half = _STUDENT * float(np.sqrt((1 / len(folds) + 1 / (FOLDS - 1)) * differences.var(ddof=1)))
    low, high = min(low, difference - half), max(high, difference + half)
    before, after = (
        float(np.mean([side.value for side in sides])) for sides in zip(*((f.before, f.after) for f in folds), strict=True)
    )
    outcome = "better" if low > 0 else "worse" if high < 0 else "no_clear_difference"
    opening = {
        "better": "Better than the base:",
        "worse": "Worse than the base:",
        "no_clear_difference": "No clear difference from the base:",
    }[outcome]
    sentence = (
        f"{opening} {METRIC_WORDS.get(metric, metric)} went from {decimal(before, 3)} to {decimal(after, 3)} on {len(groups)} rows, each held out in "
        f"turn ({signed(difference, 3)}, 95% interval {signed(low, 3)} to {signed(high, 3)}; {REPETITIONS} times {FOLDS}-fold cross-validation). "
        "It judges models tuned on four fifths of the rows in the same way, not the very one that was kept."
    )
    return Verdict(outcome, metric, before, after, difference, (low, high), len(groups), sentence, "cross_validation")


def _bootstrap(folds: Sequence[Fold], groups: NDArray[np.int64], seed: int) -> tuple[float, float]:
    """Return the percentile interval of the mean difference, groups drawn once for all folds."""
    _, index = np.unique(groups, return_inverse=True)
    count = int(index.max()) + 1
    group_of_unit = [index[fold.rows[fold.after.units]] for fold in folds]
    generator = np.random.default_rng(seed)
    means = np.empty(_RESAMPLES)
    for number in range(_RESAMPLES):
        times = np.bincount(generator.integers(0, count, count), minlength=count)
        found = []
        for fold, unit_groups in zip(folds, group_of_unit, strict=True):
            units = np.repeat(np.arange(len(unit_groups)), times[unit_groups])
            if len(units):
                found.append(fold.after.statistic(units) - fold.before.statistic(units))
        # On the few rows of a resampled fold that hold one value only there is no correlation.
        measurable = [difference for difference in found if np.isfinite(difference)]
        means[number] = np.mean(measurable) if measurable else np.nan
    low, high = np.nanquantile(means, [0.025, 0.975])
    return float(low), float(high)
