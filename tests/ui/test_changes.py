import dataclasses

import pytest

from workbench.data import import_file
from workbench.recipe import ArchitectureSpec, LayerSpec, LossSpec, TrainingConfig
from workbench.ui import Context, Draft
from workbench.ui.changes import describe_changes

BEFORE = Draft(base="/models/one/bert", loss=LossSpec("CoSENTLoss", {"scale": 5.0}), watch=("a",))


@pytest.fixture
def context(settings):
    context = Context(settings)
    yield context
    context.close()


def stack(**params):
    return ArchitectureSpec((LayerSpec("transformer", params), LayerSpec("pooling")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": "scratch"}, "base bert → scratch"),
        ({"base": "/models/two/bert"}, "base /models/one/bert → /models/two/bert"),
        ({"architecture": stack(max_seq_length=64)}, "layers pooling:mean → pooling:mean with texts up to 64 tokens"),
        ({"data": "gone/v1"}, "data none → gone/v1"),
        ({"test_data": "gone/v1"}, "test file none → gone/v1"),
        ({"loss": LossSpec("CoSENTLoss", {"scale": 20.0})}, "objective CoSENTLoss (scale 5) → CoSENTLoss (scale 20)"),
        ({"loss": None}, "objective CoSENTLoss (scale 5) → none"),
        ({"training": TrainingConfig(epochs=1.5)}, "epochs 3 → 1.5"),
        ({"training": TrainingConfig(learning_rate=3e-5)}, "learning rate auto → 3e-05"),
        ({"training": TrainingConfig(max_steps=7)}, "step limit not set → 7"),
        ({"watch": ()}, "watch-list 1 sentence from 'a' on → no sentences"),
        ({"allow_leaking_split": True}, "random split not allowed → allowed"),
        ({"name": "mine"}, "name of the run none → mine"),
    ],
)
def test_each_thing_that_differs_is_one_phrase(changes, words, context):
    assert describe_changes(BEFORE, dataclasses.replace(BEFORE, **changes), context) == [words]
    assert describe_changes(BEFORE, BEFORE, context) == []


def test_data_sets_of_one_name_and_size_are_told_apart(context, home, tmp_path):
    refs = []
    for word in ("one", "two"):
        table = tmp_path / "pairs.csv"
        table.write_text("anchor,positive\n" + "".join(f"{word} {number},answer {number}\n" for number in range(9)))
        refs.append(import_file(table, home, name="pairs").ref)
    before, after = (dataclasses.replace(BEFORE, data=ref) for ref in refs)
    words = "pairs: 9 matching pairs"
    assert describe_changes(before, after, context) == [f"data {words} ({refs[0]}) → {words} ({refs[1]})"]
