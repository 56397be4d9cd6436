"""What a run leaves beside its verdict."""

import dataclasses
import json

import numpy as np
import pytest

from tests.finished import read_jsonl
from tests.training.test_run import Recorder, make_parts, recipe
from workbench.evaluation import read_calibration
from workbench.models import SentenceTransformer
from workbench.training import run_training


def test_a_run_leaves_rows_calibration_and_the_forgetting_check(tiny_bert, sentences, home, tmp_path) -> None:
    listener = Recorder()
    made = make_parts("labelled_pairs", sentences)
    # Selected on rows it learns from, so that a later step than the first is kept.
    parts = dataclasses.replace(made, validation=made.train.select(range(32)), test_rows=np.arange(100, 160))
    settings = recipe(tiny_bert, "labelled_pairs", max_steps=24)
    result = run_training(settings, parts, home, tmp_path, listener)  # type: ignore[arg-type]
    assert result.best_step
    rows = read_jsonl(tmp_path / "evaluations" / "test_rows.jsonl")
    assert [row["row"] for row in rows] == list(range(101, 161)), "numbers count from 1 in the data set"
    assert [row["sentence1"] for row in rows] == list(parts.test["sentence1"])
    model = SentenceTransformer(tmp_path / "model", device="cpu")
    first, second = model.encode([rows[7]["sentence1"], rows[7]["sentence2"]], normalize_embeddings=True)
    assert rows[7]["tuned"]["cosine"] == pytest.approx(float(first @ second), abs=1e-5)
    assert rows[7]["base"]["cosine"] != rows[7]["tuned"]["cosine"], "the base was measured before the first step"
    general = json.loads((tmp_path / "evaluations" / "general.json").read_text())
    assert general["pairs"] == 549 and general["before"] != general["after"]
    assert listener.messages[-1] == general["sentence"]
    found = read_calibration(tmp_path)
    assert found is not None and (found.validation_rows, found.test_rows, found.tuned.pairs) == (32, 60, 60)
    spread = json.loads((tmp_path / "evaluations" / "calibration.json").read_text())["distribution"]
    assert sum(sum(group["base"]) for group in spread["groups"]) == 60
    assert result.metrics["after"] is not None
    assert result.threshold == found.threshold and result.general == general
    assert result.unrelated_cosine == general["unrelated_cosine"] and set(result.unrelated_cosine) == {"before", "after"}


def test_without_a_test_part_or_a_model_there_are_no_rows(tiny_bert, sentences, home, tmp_path) -> None:
    alone = dataclasses.replace(make_parts("pairs", sentences), validation=None, test=None)
    run_training(recipe(tiny_bert, "pairs", max_steps=2), alone, home, tmp_path / "a", Recorder())  # type: ignore[arg-type]
    assert json.loads((tmp_path / "a" / "evaluations" / "general.json").read_text())["pairs"] == 549
    stopped = Recorder(stop_after=2, keep="none")
    run_training(recipe(tiny_bert, epochs=9), make_parts("scored_pairs", sentences), home, tmp_path / "b", stopped)  # type: ignore[arg-type]
    assert "no model was kept" in json.loads((tmp_path / "b" / "evaluations" / "general.json").read_text())["sentence"]
    for name in ("a", "b"):
        assert not (tmp_path / name / "evaluations" / "test_rows.jsonl").exists()
        assert read_calibration(tmp_path / name) is None


def test_an_untrained_base_has_nothing_to_forget(sentences, home, tmp_path) -> None:
    listener = Recorder()
    run_training(recipe("scratch", max_steps=1), make_parts("scored_pairs", sentences), home, tmp_path, listener)  # type: ignore[arg-type]
    assert listener.messages[-1].startswith("General ability was not checked: the base is untrained")
