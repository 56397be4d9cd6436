import csv
import shutil
from types import SimpleNamespace

import pytest

import workbench.runs as runs
from workbench.errors import ArchitectureError, ConfigError, DataError, InputError, ModelError, RunError
from workbench.recipe import ArchitectureSpec, LayerSpec, LossSpec, Recipe, TrainingConfig, parse_layers
from workbench.runs import get_run, list_runs, store, submit
from workbench.runs.database import open_database
from workbench.runs.run import run_folder

LONG = LayerSpec("transformer", {"max_seq_length": 500})


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.fixture
def scored(tmp_path, sentences):
    rows = [(sentences[2 * row], sentences[2 * row + 1], row % 6) for row in range(60)]
    return write_csv(tmp_path / "scored.csv", ("sentence1", "sentence2", "score"), rows)


@pytest.fixture
def triplets(tmp_path, sentences):
    rows = [tuple(sentences[3 * row : 3 * row + 3]) for row in range(60)]
    return write_csv(tmp_path / "triplets.csv", ("anchor", "positive", "negative"), rows)


def queue(recipe, home):
    return submit(recipe, home, start=False)


def test_what_was_left_open_is_settled_and_frozen(home, scored, tiny_bert):
    run = queue(Recipe(base=str(tiny_bert), data=scored), home)
    recipe = run.recipe()
    assert (run.status, run.kind, run.base, run.data) == ("queued", "train", str(tiny_bert), recipe.data)
    assert recipe.architecture == ArchitectureSpec.default()
    assert recipe.loss == LossSpec("CoSENTLoss", {"scale": 5.0})
    assert recipe.columns == {"sentence1": "sentence1", "sentence2": "sentence2", "score": "score"}
    assert recipe.score_scale == (0.0, 5.0)
    assert recipe.data.endswith("/v1") and (home / "datasets" / recipe.data).is_dir()
    assert run.name == recipe.name == "scored.csv on tiny-bert"
    assert [queue(Recipe(base=str(tiny_bert), data=scored), home).name for _ in range(2)] == [f"{run.name} (2)", f"{run.name} (3)"]
    assert sorted(path.name for path in run.folder.iterdir()) == ["recipe.json", "run.json"]


def test_what_was_decided_is_left_as_it_is(home, scored):
    layers = ArchitectureSpec((LayerSpec("transformer", {"max_seq_length": 32}), *parse_layers("pooling:max,dense:16")))
    given = Recipe(
        base="scratch",
        data=scored,
        architecture=layers,
        loss=LossSpec("CosineSimilarityLoss"),
        training=TrainingConfig(epochs=1, seed=7),
        name=" My\n run ",
    )
    recipe = queue(given, home).recipe()
    assert (recipe.architecture, recipe.loss, recipe.training) == (layers, given.loss, given.training)
    assert (recipe.base, recipe.name) == ("scratch", "My run")


def test_a_folder_is_meant_where_it_lay_when_the_run_was_queued(home, scored, tiny_bert, monkeypatch):
    monkeypatch.chdir(tiny_bert.parent)
    assert queue(Recipe(base=tiny_bert.name, data=scored), home).base == str(tiny_bert)


def test_a_stored_data_set_is_pinned_to_its_version(home, scored):
    ref = queue(Recipe(base="scratch", data=scored), home).data
    assert queue(Recipe(base="scratch", data=ref.partition("/")[0]), home).data == ref


def test_held_out_files_are_stored_and_read_on_the_scale_of_the_training_data(home, scored, tmp_path, sentences):
    rows = [(sentences[150 + row], sentences[199 - row], 1 + row % 3) for row in range(20)]
    held_out = write_csv(tmp_path / "held_out.csv", ("sentence1", "sentence2", "score"), rows)
    recipe = queue(Recipe(base="scratch", data=scored, test_data=held_out, validation_data=held_out), home).recipe()
    assert recipe.test_data == recipe.validation_data != recipe.data
    from workbench.data import open_dataset

    assert open_dataset(recipe.test_data, home).score_scale == (0.0, 5.0)


def test_a_base_that_is_a_run_needs_its_model(home, scored, tiny_bert, add_run):
    base = add_run("base")
    with pytest.raises(InputError, match="has no model; wait"):
        queue(Recipe(base=base, data=scored), home)
    (run_folder(base, home) / "model").mkdir()
    for file in tiny_bert.iterdir():
        (run_folder(base, home) / "model" / file.name).symlink_to(file)
    (run_folder(base, home) / "model" / "modules.json").write_text(
        '[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]'
    )
    with pytest.raises(ModelError, match="has not ended"):
        queue(Recipe(base=base, data=scored), home)
    with open_database(home) as connection:
        connection.execute("UPDATE runs SET status = 'completed' WHERE run_id = ?", (base,))
    run = queue(Recipe(base=base, data=scored), home)
    assert run.base == run.recipe().base == base


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"base": "./nowhere"}, ModelError, "no base model"),
        ({"base": "20260101-000000-aaaa"}, InputError, "There is no run"),
        ({"data": "missing.csv"}, DataError, "missing.csv"),
        ({"data": "abc-12345678/v9"}, DataError, "no data set"),
        ({"columns": {"sentence1": "left"}}, DataError, "left"),
        ({"architecture": ArchitectureSpec((LayerSpec("transformer"),))}, ArchitectureError, "add a Pooling layer"),
        (
            {"architecture": ArchitectureSpec((LayerSpec("transformer", {"max_seq_length": 500}),))},
            ArchitectureError,
            "takes 64 at most",
        ),
        ({"loss": LossSpec("TripletLoss")}, ConfigError, "TripletLoss trains on triplets"),
        ({"data": "triplets.csv", "loss": LossSpec("CoSENTLoss")}, ConfigError, "the data set holds triplets"),
        ({"test_data": "triplets.csv"}, DataError, "both must be of one kind"),
        ({"data": "few.csv"}, DataError, "few.csv"),
        ({"name": "x" * 200}, InputError, "200"),
    ],
)
def test_what_cannot_run_is_refused_in_words_before_it_is_queued(
    changes, error, words, home, scored, triplets, tiny_bert, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.csv").write_text("sentence1,sentence2,score\na,b,1\n")
    with pytest.raises(error) as caught:
        queue(Recipe(base=str(tiny_bert), data=scored).replace(**changes), home)
    assert words in caught.value.message
    assert list_runs(home) == []
    assert not (home / "runs").exists()


def test_a_home_that_cannot_be_written_to_is_named(home, scored):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file")
    with pytest.raises((InputError, RunError)) as caught:
        queue(Recipe(base="scratch", data=scored), home)
    assert str(home) in caught.value.message


def test_a_run_that_could_not_be_recorded_leaves_no_folder(home, scored, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "insert", fail)
    with pytest.raises(RunError, match="No space left on device"):
        queue(Recipe(base="scratch", data=scored), home)
    assert list((home / "runs").iterdir()) == []


def test_two_runs_queued_in_the_same_second_are_two(home, scored, monkeypatch):
    ids = iter(["20260101-000000-aaaa", "20260101-000000-aaaa", "20260101-000000-bbbb"])
    monkeypatch.setattr("workbench.runs.submission.create_run_id", lambda: next(ids))
    first, second = (queue(Recipe(base="scratch", data=scored), home) for _ in range(2))
    assert (first.run_id, second.run_id) == ("20260101-000000-aaaa", "20260101-000000-bbbb")
    assert get_run(first.run_id, home).status == "queued"


def test_every_name_of_the_room_is_what_it_says():
    import importlib
    import pkgutil
    import types

    for module in pkgutil.iter_modules(runs.__path__):
        importlib.import_module(f"workbench.runs.{module.name}")
    for name in runs.__all__:
        assert not isinstance(getattr(runs, name), types.ModuleType), f"a sub-module is in front of {name}"


def test_a_run_is_refused_where_its_model_has_no_room(home, tmp_path, monkeypatch):
    data = write_csv(tmp_path / "pairs.csv", ("a", "b", "score"), [(f"a {n}", f"b {n}", n % 5) for n in range(40)])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(RunError, match=r"has 1,000 bytes free, and the run needs [0-9,]{9,}, .*tokens` may be deleted"):
        submit(Recipe(base="mini", data=data), home, start=False)
    assert list_runs(home) == [] and not (home / "runs").exists()
