"""The draft as a file and back, and what is said where a part is missing."""

import json

import pytest

from workbench.data import import_file
from workbench.errors import ConfigError, ModelError
from workbench.recipe import ArchitectureSpec, LayerSpec, LossSpec, Recipe, TrainingConfig, parse_layers
from workbench.settings import Settings
from workbench.ui.context import Context
from workbench.ui.draft import Draft, load_draft, save_draft
from workbench.ui.recipe_text import open_recipe, program_text, recipe_note, recipe_text

STACK = ArchitectureSpec((LayerSpec("transformer"), *parse_layers("pooling:mean,dense:64")))


@pytest.fixture
def context(home):
    return Context(Settings(home=home, port=0))


@pytest.fixture
def dataset(pairs_csv, home):
    return import_file(pairs_csv, home)


def test_a_whole_draft_is_a_recipe(dataset):
    draft = Draft(
        base="scratch",
        architecture=STACK,
        data=dataset.ref,
        loss=LossSpec("CosineSimilarityLoss"),
        training=TrainingConfig(epochs=3),
    )
    assert Recipe.from_json(recipe_text(draft)) == draft.to_recipe()
    note, complete = recipe_note(draft, dataset)
    assert complete and "train --recipe recipe.json" in note


def test_without_data_the_rest_is_shown_and_the_gap_is_said():
    draft = Draft(base="scratch", architecture=STACK)
    assert json.loads(recipe_text(draft))["data"] is None
    assert json.loads(recipe_text(draft))["architecture"] == STACK.to_list()
    note, complete = recipe_note(draft, None)
    assert not complete and "No data set is chosen yet" in note and "scored pairs" in note
    program = program_text(draft, None, None, "scratch")
    compile(program, "train.py", "exec")
    assert "models.Dense(width, 64" in program and "CoSENTLoss" in program
    assert "is gone" in recipe_note(Draft(data="lost/v1"), None)[0]


def test_the_program_reads_the_parts_that_there_will_be(dataset):
    draft = Draft(base="scratch", data=dataset.ref, training=TrainingConfig(test_fraction=0.0))
    program = program_text(draft, dataset, None, "scratch")
    assert "'validation': 'validation.csv'" in program and "test.csv" not in program


def test_a_recipe_becomes_the_draft(context, dataset):
    save_draft(context.home, Draft(base="scratch", name="before"))
    recipe = Recipe("scratch", dataset.ref, STACK, LossSpec("CosineSimilarityLoss"), training=TrainingConfig(epochs=7), name="mine")
    draft, words = open_recipe(recipe.to_json(), context)
    assert draft.to_recipe() == recipe == load_draft(context.home).to_recipe()
    assert words.startswith("The recipe mine is open")


def test_a_recipe_without_layers_takes_those_of_its_base(context):
    draft, _ = open_recipe(json.dumps({"base": "scratch", "data": "x/v1"}), context)
    assert draft.architecture.to_text() == "pooling:mean"


def test_what_is_not_here_is_said_and_the_data_set_in_use_stays(context, dataset):
    save_draft(context.home, Draft(data=dataset.ref))
    recipe = Recipe("scratch", "elsewhere-12345678/v1", STACK, columns={"score": "c"}, test_data="other/v2")
    draft, words = open_recipe(recipe.to_json(), context)
    assert (draft.data, draft.test_data, dict(draft.columns)) == (dataset.ref, None, {})
    assert "elsewhere-12345678/v1 is not in this workbench" in words and "Its test data other/v2 is not here" in words


def test_an_unfinished_recipe_can_be_opened_again(context, dataset):
    save_draft(context.home, Draft(data=dataset.ref))
    draft, words = open_recipe(recipe_text(Draft(base="scratch", architecture=STACK)), context)
    assert draft.architecture == STACK and draft.data == dataset.ref
    assert "names no data set" in words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "it is not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "A recipe needs `base`"),
        ('{"base": "scratch", "data": "x", "version": 99}', "version 99"),
        ('{"base": "scratch", "data": "x", "shell": 1}', "no field `shell`"),
        ('{"base": "scratch", "data": "x", "architecture": [{"kind": "exec"}]}', "no layer kind 'exec'"),
        ('{"base": "scratch", "data": "x", "architecture": 5}', "no recipe"),
        ('{"base": "scratch", "data": "x", "score_scale": "ab"}', "no recipe"),
        ('{"base": "scratch", "training": {"epochs": -1}}', "epochs"),
    ],
)
def test_what_is_no_recipe_is_refused_in_words_and_changes_nothing(context, text, message):
    save_draft(context.home, Draft(name="before"))
    with pytest.raises(ConfigError) as caught:
        open_recipe(text, context)
    assert message in str(caught.value)
    assert load_draft(context.home).name == "before"


def test_a_base_that_is_not_here_is_refused(context):
    with pytest.raises(ModelError, match="no base model"):
        open_recipe(Recipe("/nowhere/at/all", "x/v1").to_json(), context)
