import ast
import csv

import pytest

from tests.runs.test_submission import queue, write_csv
from workbench.data import open_splits
from workbench.errors import InputError
from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import list_runs, program_of_recipe, program_of_run
from workbench.runs.run import run_folder


@pytest.fixture
def triplets(tmp_path, sentences):
    rows = [(f"{sentences[3 * row]}, {row}", *sentences[3 * row + 1 : 3 * row + 3]) for row in range(60)]
    return write_csv(tmp_path / "triplets.csv", ("anchor", "positive", "negative"), rows)


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_program_of_a_run_reads_the_rows_the_run_trains_on(home, triplets, tiny_bert, tmp_path):
    run = queue(Recipe(base=str(tiny_bert), data=triplets), home)
    folder = tmp_path / "parts"
    program = program_of_run(run.run_id, home, folder)
    ast.parse(program)
    assert repr(str(tiny_bert)) in program and str(folder / "train.csv") in program
    parts = open_splits(run.recipe(), home)
    for name in ("train", "validation", "test"):
        header, *rows = read(folder / f"{name}.csv")
        table = getattr(parts, name)
        assert header == ["anchor", "positive", "negative"]
        assert rows == [[row[role] for role in header] for row in table] and rows


@pytest.mark.parametrize(
    ("precision", "bf16", "fp16"),
    [
        ("auto", "torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 8", "False"),
        ("bf16", "True", "False"),
        ("fp16", "False", "True"),
        ("fp32", "False", "False"),
    ],
)
def test_the_program_computes_in_the_same_numbers(precision, bf16, fp16, home, triplets, tiny_bert):
    recipe = Recipe(base=str(tiny_bert), data=triplets, training=TrainingConfig(precision=precision))
    program = program_of_recipe(recipe, home)
    assert f"    bf16={bf16},\n    fp16={fp16},\n" in program
    assert ("here only a GPU does" in program) == (precision == "auto")


def test_parts_that_there_are_not_are_not_read(home, triplets, tiny_bert, tmp_path):
    recipe = Recipe(base=str(tiny_bert), data=triplets, training=TrainingConfig(validation_fraction=0.0, test_fraction=0.0))
    program = program_of_recipe(recipe, home, tmp_path / "parts")
    ast.parse(program)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["train.csv"]
    assert "test.csv" not in program
    assert list_runs(home) == []


def test_a_run_from_scratch_starts_from_the_encoder_it_built(home, triplets):
    run = queue(Recipe(base="scratch", data=triplets), home)
    own = run_folder(run.run_id, home) / "base"
    own.mkdir()
    assert repr(str(own)) in program_of_run(run.run_id, home)


def test_several_devices_are_a_remark(home, triplets, tiny_bert):
    recipe = Recipe(base=str(tiny_bert), data=triplets, training=TrainingConfig(batch_size=24, device="cpu", devices=2))
    program = program_of_recipe(recipe, home)
    assert "# The workbench shares each batch among 2 devices" in program
    assert "per_device_train_batch_size=24," in program


def test_a_folder_that_cannot_be_written_to_is_named(home, triplets, tiny_bert, tmp_path):
    (tmp_path / "parts").write_text("a file")
    with pytest.raises(InputError, match=r"cannot be written: `.*/parts` is a file; name a folder\."):
        program_of_recipe(Recipe(base=str(tiny_bert), data=triplets), home, tmp_path / "parts")
    with pytest.raises(InputError, match=r"could not be written: the system refused to write to"):
        program_of_recipe(Recipe(base=str(tiny_bert), data=triplets), home, tmp_path / "parts" / "inside")
