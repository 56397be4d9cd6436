"""The verdict: right about luck, right about learning, and wider where rows hang together."""

import numpy as np
import pytest

from workbench.evaluation import Evaluation, compute_verdict
from workbench.evaluation.verdict import bootstrap_interval, not_judged


def accuracy(correct: np.ndarray) -> Evaluation:
    values = correct.astype(float)
    return Evaluation(
        {"cosine_accuracy": float(values.mean())},
        "cosine_accuracy",
        len(values),
        np.arange(len(values)),
        lambda u: float(values[u].mean()),
    )


def draw(rows: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(rows) < share


def test_better_worse_and_no_clear_difference() -> None:
    base, good = accuracy(draw(400, 0.6, 0)), accuracy(draw(400, 0.9, 1))
    better, worse = compute_verdict(base, good), compute_verdict(good, base)
    assert better.outcome == "better" and worse.outcome == "worse"
    assert better.interval is not None and 0 < better.interval[0] < better.difference < better.interval[1]
    assert better.sentence.startswith("Better than the base: share of triplets in the right order went from 0.")
    assert "400 held-out rows" in better.sentence
    assert compute_verdict(base, accuracy(np.roll(draw(400, 0.6, 0), 7))).outcome == "no_clear_difference"
    assert compute_verdict(base, base).difference == 0


def test_equal_seeds_give_equal_intervals() -> None:
    base, tuned = accuracy(draw(100, 0.6, 0)), accuracy(draw(100, 0.7, 1))
    assert compute_verdict(base, tuned, seed=3) == compute_verdict(base, tuned, seed=3)


def test_too_few_rows_are_not_judged() -> None:
    verdict = compute_verdict(accuracy(draw(49, 0.1, 0)), accuracy(draw(49, 1.0, 1)))
    assert verdict.outcome == "not_judged" and verdict.interval is None
    assert "49 held-out rows are too few" in verdict.sentence
    assert verdict.difference == pytest.approx(verdict.after - verdict.before)
    assert compute_verdict(accuracy(draw(50, 0.1, 0)), accuracy(draw(50, 1.0, 1))).outcome == "better"


def test_the_floor_counts_groups_not_rows() -> None:
    base, good = accuracy(draw(490, 0.1, 0)), accuracy(draw(490, 1.0, 1))
    few = compute_verdict(base, good, np.arange(490) // 10)
    assert few.outcome == "not_judged" and few.interval is None
    assert "490 held-out rows, in 49 groups that share sentences, are too few" in few.sentence
    assert compute_verdict(base, good, np.arange(490) % 50).outcome == "better"


def test_rows_that_hang_together_widen_the_interval() -> None:
    once = draw(50, 0.5, 0), draw(50, 0.65, 1)
    tenfold = accuracy(np.repeat(once[0], 10)), accuracy(np.repeat(once[1], 10))
    groups = np.repeat(np.arange(50), 10)
    together = bootstrap_interval(*tenfold, groups, seed=0)
    alone = bootstrap_interval(*tenfold, None, seed=0)
    width_together, width_alone = together[1] - together[0], alone[1] - alone[0]
    assert width_together > 2.5 * width_alone
    single = bootstrap_interval(accuracy(once[0]), accuracy(once[1]), None, seed=0)
    assert width_together == pytest.approx(single[1] - single[0], rel=0.15)


def test_luck_is_rarely_called_better() -> None:
    outcomes = [
        compute_verdict(accuracy(draw(120, 0.7, 2 * seed)), accuracy(draw(120, 0.7, 2 * seed + 1))).outcome for seed in range(60)
    ]
    assert outcomes.count("better") <= 5 and outcomes.count("worse") <= 5


def test_units_that_are_queries_find_their_rows_groups() -> None:
    values = draw(30, 0.5, 0).astype(float)
    units = np.arange(0, 60, 2)
    query = Evaluation({"m": float(values.mean())}, "m", 60, units, lambda u: float(values[u].mean()))
    low, high = bootstrap_interval(query, query, np.arange(60) // 4, seed=0)
    assert low == high == 0


def test_not_judged_without_a_test_part() -> None:
    verdict = not_judged("spearman_cosine", "there is no test part")
    assert verdict.to_dict()["interval"] is None and verdict.rows == 0
    assert verdict.sentence == "Not judged: there is no test part."
