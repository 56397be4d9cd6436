"""The verdict of small sets: folds that share no sentence, an interval that is not narrow by mistake, and luck named as luck."""

import numpy as np
import pytest

from workbench.evaluation import Evaluation
from workbench.evaluation.cross_validation import (
    FOLDS,
    REPETITIONS,
    SMALL_SET,
    TRAININGS,
    Fold,
    assign_folds,
    is_small,
    judge_folds,
)


def accuracy(correct: np.ndarray) -> Evaluation:
    values = correct.astype(float)
    return Evaluation(
        {"cosine_accuracy": float(values.mean())},
        "cosine_accuracy",
        len(values),
        np.arange(len(values)),
        lambda u: float(values[u].mean()),
    )


def folds_of(base: np.ndarray, tuned: np.ndarray, groups: np.ndarray, luck: float = 0.0, seed: int = 0) -> list[Fold]:
    """Folds of two models that are right about the same rows in every training, but for a share of `luck`."""
    generator = np.random.default_rng(seed)
    made = []
    for repetition in range(REPETITIONS):
        fold_of_row = assign_folds(groups, repetition)
        for number in range(FOLDS):
            rows = np.flatnonzero(fold_of_row == number)
            flipped = generator.random(len(rows)) < luck
            made.append(Fold(rows, accuracy(base[rows]), accuracy(tuned[rows] ^ flipped)))
    return made


def draw(rows: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(rows) < share


@pytest.mark.parametrize("seed", range(3))
def test_groups_never_straddle_folds_and_folds_are_of_one_size(seed: int) -> None:
    groups = np.random.default_rng(seed).integers(0, 60, 200)
    fold = assign_folds(groups, seed)
    assert all(len(set(fold[groups == group])) == 1 for group in np.unique(groups))
    sizes = np.bincount(fold, minlength=FOLDS)
    assert sizes.max() - sizes.min() <= np.bincount(groups).max()
    assert (assign_folds(groups, seed) == fold).all() and (assign_folds(groups, seed + 1) != fold).any()


def test_a_set_is_small_where_it_cannot_be_judged_otherwise() -> None:
    assert is_small(200, 200, 30, 1) and not is_small(SMALL_SET, 300, 30, 1)
    assert not is_small(200, 200, 50, 1), "the test part suffices"
    assert not is_small(200, 49, 0, 10), "too few groups for any verdict"
    assert not is_small(200, 60, 0, 90), "one group is nearly half of the rows"


def test_learning_is_called_better_and_forgetting_worse() -> None:
    groups = np.arange(120)
    base, good = draw(120, 0.5, 0), draw(120, 0.9, 1)
    better, worse = judge_folds(folds_of(base, good, groups), groups), judge_folds(folds_of(good, base, groups), groups)
    assert (better.outcome, worse.outcome) == ("better", "worse")
    assert better.method == "cross_validation" and better.rows == 120
    assert better.difference == pytest.approx(good.mean() - base.mean(), abs=0.01)
    assert "each held out in turn" in better.sentence and "2 times 5-fold" in better.sentence
    assert better == judge_folds(folds_of(base, good, groups), groups), "seeded"


def test_repetitions_do_not_make_rows_more() -> None:
    """The same rows looked at twice say no more than once: the interval is that of one look."""
    groups = np.arange(100)
    twice = folds_of(draw(100, 0.5, 0), draw(100, 0.7, 1), groups)
    from workbench.evaluation.cross_validation import _bootstrap

    both, one = _bootstrap(twice, groups, 0), _bootstrap(twice[:FOLDS], groups, 0)
    assert both[1] - both[0] == pytest.approx(one[1] - one[0], rel=0.15)


def test_rows_that_hang_together_widen_the_interval() -> None:
    base, tuned = np.repeat(draw(60, 0.5, 0), 5), np.repeat(draw(60, 0.7, 1), 5)
    together = np.repeat(np.arange(60), 5)
    from workbench.evaluation.cross_validation import _bootstrap

    folds = folds_of(base, tuned, together)
    grouped, alone = _bootstrap(folds, together, 0), _bootstrap(folds, np.arange(300), 0)
    assert grouped[1] - grouped[0] > 1.8 * (alone[1] - alone[0])


def test_trainings_that_disagree_widen_the_interval() -> None:
    groups = np.arange(300)
    base = draw(300, 0.5, 0)
    steady = judge_folds(folds_of(base, base, groups), groups)
    assert steady.interval == (0, 0)
    folds = folds_of(base, base, groups)
    shaken = [Fold(f.rows, f.before, accuracy(np.full(len(f.rows), number % 2 == 0))) for number, f in enumerate(folds)]
    assert judge_folds(shaken, groups).interval[0] < -0.5


def test_shuffled_labels_are_rarely_called_better() -> None:
    """Where both models are right by chance alone, at most one verdict in twenty may say "better"."""
    groups = np.arange(150)
    outcomes = [
        judge_folds(folds_of(draw(150, 0.6, 2 * seed), draw(150, 0.6, 2 * seed + 1), groups, 0.1, seed), groups).outcome
        for seed in range(40)
    ]
    assert len(outcomes) == 40 and outcomes.count("better") <= 2
    assert len(folds_of(draw(150, 0.5, 0), draw(150, 0.5, 1), groups)) == TRAININGS
