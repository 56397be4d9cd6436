import json

import numpy as np
import pytest

from workbench.data import import_file
from workbench.playground import find_threshold
from workbench.recipe import Recipe, TrainingConfig
from workbench.runs.run import RECIPE_FILE, run_folder


class Encoder:
    """Texts that begin alike are alike."""

    def __init__(self):
        self.asked = []

    def encode(self, model, texts, tell=None):
        self.asked.append(model)
        return np.array([[1, 0.2] if text.startswith("yes") else [0.2, 1] for text in texts], dtype=np.float32)


@pytest.fixture
def run_on(home, add_run, tmp_path):
    """A finished run on rows of a kind."""

    def create(header, rows, **training):
        path = tmp_path / "data.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        run_id = add_run("completed")
        recipe = Recipe("scratch", import_file(path, home).ref, training=TrainingConfig(**{"validation_fraction": 0.5, **training}))
        (run_folder(run_id, home) / RECIPE_FILE).write_text(recipe.to_json())
        return run_id

    return create


SCORED = [f"yes {i} left,{'yes' if i % 2 else 'no'} {i} right,{5 if i % 2 else 1}" for i in range(40)] + ["no a,no b,0"]


def test_what_the_run_measured_comes_first(home, run_on):
    run_id = run_on("sentence1,sentence2,score", SCORED)
    folder = run_folder(run_id, home) / "evaluations"
    folder.mkdir()
    (folder / "after.json").write_text(json.dumps({"metrics": {"cosine_accuracy_threshold": 0.71}}))
    (folder / "before.json").write_text(json.dumps({"metrics": {"cosine_accuracy_threshold": 0.9}}))
    encoder = Encoder()
    assert find_threshold(run_id, encoder, home).value == 0.71
    assert find_threshold(f"base:{run_id}", encoder, home).value == 0.9
    assert encoder.asked == []


def test_scored_pairs_are_told_apart_at_the_middle_of_their_scale(home, run_on):
    run_id = run_on("sentence1,sentence2,score", SCORED)
    encoder = Encoder()
    found = find_threshold(run_id, encoder, home)
    # The cosine of a match is 1, of the others 0.38, and half of a gap is left on either side where there is one.
    assert 0.38 < found.value <= 1
    assert "100% of the run's" in found.source and "middle of the scale" in found.source
    assert encoder.asked == [run_id]


@pytest.mark.parametrize(
    ("header", "rows", "training", "reason"),
    [
        ("anchor,positive", [f"yes {i},no {i}" for i in range(20)], {}, "not from where on"),
        ("sentence1,sentence2,score", SCORED, {"validation_fraction": 0.0}, "no rows out for validation"),
    ],
)
def test_where_nothing_tells_it_the_reason_is_said(home, run_on, header, rows, training, reason):
    found = find_threshold(run_on(header, rows, **training), Encoder(), home)
    assert found.value is None and reason in found.source


def test_a_model_without_a_run_has_none(home):
    assert "belongs to no run" in find_threshold("someone/model", Encoder(), home).source
    assert "There is no run" in find_threshold("20260101-000000-aaaa", Encoder(), home).source
