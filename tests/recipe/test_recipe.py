"""A recipe is one frozen JSON document."""

import dataclasses
import json

import pytest

from workbench.errors import ConfigError
from workbench.recipe import TRAINING_PARAMETERS, ArchitectureSpec, LossSpec, Recipe, TrainingConfig


def full_recipe() -> Recipe:
    return Recipe(
        base="some/encoder",
        data="pairs.csv",
        architecture=ArchitectureSpec.default(),
        loss=LossSpec("CoSENTLoss", {"scale": 30.0}),
        columns={"sentence1": "a", "sentence2": "b", "score": "c"},
        score_scale=(1, 5),
        validation_data="validation.csv",
        test_data="test.csv",
        training=TrainingConfig(epochs=2, learning_rate=3e-5, max_steps=7, device="cuda:1"),
        name="größer",
        allow_leaking_split=True,
        watch=("eins", "zwei"),
    )


def test_json_round_trip() -> None:
    recipe = full_recipe()
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json(Recipe("a", "b").to_json()) == Recipe("a", "b")


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        full_recipe().base = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": ""}, "needs `base`"),
        ({"data": None}, "needs `data`"),
        ({"sped": 1}, "no field `sped`"),
        ({"version": 99}, "version 99"),
        ({"score_scale": [5, 1]}, "lowest, highest"),
        ({"training": {"epochs": -1}}, "`epochs` must be a number from 0.01"),
        ({"training": {"epoch": 1}}, "no field `epoch`"),
        ({"loss": {"name": "MagicLoss"}}, "no loss 'MagicLoss'"),
    ],
)
def test_a_wrong_document_says_what_is_wrong(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recipe.from_dict({**full_recipe().to_dict(), **change})


def test_text_that_is_no_recipe() -> None:
    with pytest.raises(ConfigError, match="not JSON"):
        Recipe.from_json("{")
    with pytest.raises(ConfigError, match="JSON object"):
        Recipe.from_json(json.dumps([1]))


def test_the_table_and_the_dataclass_agree() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}
    table = {parameter.name: parameter.default for parameter in TRAINING_PARAMETERS}
    assert fields == table | {"device": "auto"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"device": "gpu"}, "`device` must be"),
        ({"devices": 0}, "`devices` must be"),
        ({"devices": 2, "device": "mps"}, "needs `device` auto, cuda or cpu"),
        ({"devices": 2, "device": "cuda:1"}, "needs `device` auto, cuda or cpu"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, "too little"),
        ({"learning_rate": "fast"}, "or auto"),
        ({"batch_size": 2.5}, "whole number"),
        ({"batch_size": True}, "whole number"),
        ({"epochs": float("nan")}, "a number"),
    ],
)
def test_settings_out_of_range(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**values)


def test_learning_rate_auto_and_steps() -> None:
    config = TrainingConfig(epochs=1.5)
    rates = {width: config.learning_rate_for(pretrained=True, width=width) for width in (1024, 768, 512, 384, 256, 192, 128)}
    assert rates == {1024: 2e-5, 768: 2e-5, 512: 5e-5, 384: 8e-5, 256: 2e-4, 192: 3e-4, 128: 3e-4}
    assert config.learning_rate_for(pretrained=False, width=128) == 5e-4
    assert TrainingConfig(learning_rate=1e-3).learning_rate_for(pretrained=True, width=192) == 1e-3
    assert config.total_steps(steps_per_epoch=10) == 15
    assert TrainingConfig(max_steps=3).total_steps(10) == 3
    assert config.eval_interval(100) == 10
    assert TrainingConfig(eval_steps=7).eval_interval(100) == 7
