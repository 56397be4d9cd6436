"""The settings that fit a data set: the rule's own sentences, held."""

import math

import pytest

from workbench.recipe import KINDS, LOSSES, SUGGESTED, TrainingConfig, losses_for, suggest_training
from workbench.recipe.suggestion import EPOCHS

ROWS = [1, 2, 9, 40, 150, 299, 300, 767, 999, 1_000, 5_000, 10_000, 99_999, 100_000, 3_000_000]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", ROWS)
def test_a_suggestion_is_a_valid_setting_for_every_kind_and_size(kind: str, rows: int) -> None:
    for loss in losses_for(kind):
        suggestion = suggest_training(kind, rows, loss)
        values = suggestion.values()
        assert tuple(values) == SUGGESTED
        config = TrainingConfig(**values)
        low, high = (16, 128) if LOSSES[loss].in_batch_negatives else (8, 32)
        assert low <= config.batch_size <= high and math.log2(config.batch_size) % 1 == 0
        assert config.batch_size == low or rows / config.batch_size >= 20, "an epoch has 20 steps where the rows allow it"
        total = config.total_steps(math.ceil(rows / config.batch_size))
        assert total // config.eval_interval(total) <= 50
        assert config.eval_steps is not None and (config.eval_steps == 1 or total // config.eval_steps >= 10)


def test_few_rows_are_seen_more_often_than_many() -> None:
    epochs = [suggest_training("scored_pairs", rows).epochs for rows in ROWS]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] == EPOCHS[0][1] and epochs[-1] == 1


def test_in_batch_negatives_take_larger_batches() -> None:
    pairs, scored = suggest_training("pairs", 5_000), suggest_training("scored_pairs", 5_000)
    assert (pairs.batch_size, scored.batch_size) == (128, 32)
    assert "wrong answer" in pairs.reason
    assert suggest_training("triplets", 5_000, "TripletLoss").batch_size == 32, "it has no in-batch negatives"


def test_a_short_run_warms_up_over_a_larger_share() -> None:
    assert suggest_training("scored_pairs", 60).warmup_ratio == 0.2
    assert suggest_training("scored_pairs", 60_000).warmup_ratio == 0.1


def test_the_sample_data() -> None:
    suggestion = suggest_training("scored_pairs", 767)
    assert suggestion.values() == {"epochs": 5.0, "batch_size": 32, "warmup_ratio": 0.1, "eval_steps": 10}
    assert suggestion.reason == "few rows, so 5 passes; batches of 32 leave 24 steps a pass"
