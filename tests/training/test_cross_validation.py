"""Small sets are judged by holding out every row in turn, and the model that is kept is that of the run."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from tests.finished import read_jsonl
from tests.training.test_run import GivenSplits, Recorder, recipe
from workbench.evaluation.cross_validation import TRAININGS
from workbench.models import SentenceTransformer
from workbench.training import run_training
from workbench.training.cross_validation import CrossValidation


def part(sentences: list[str], start: int, rows: int, shuffled: bool = False) -> Dataset:
    """Scored pairs that share no sentence; shuffled scores say nothing."""
    first = [f"{sentences[start + row]} {start + row}" for row in range(rows)]
    second = [f"{sentences[start + row] if row % 2 else sentences[start + row - 50]} again {start + row}" for row in range(rows)]
    scores = [float(row % 2) for row in range(rows)]
    if shuffled:
        scores = np.random.default_rng(start).permutation(scores).tolist()
    return Dataset.from_dict({"sentence1": first, "sentence2": second, "score": scores})


def small(sentences: list[str], shuffled: bool = False) -> GivenSplits:
    sizes = ((60, 50), (110, 8), (118, 12))
    return GivenSplits("scored_pairs", *(part(sentences, start, rows, shuffled) for start, rows in sizes))


def test_a_small_set_gets_a_verdict_and_the_model_of_the_run(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    listener, without = Recorder(), Recorder()
    settings = recipe(tiny_bert, epochs=2)
    result = run_training(settings, small(sentences), home, tmp_path / "a", listener)  # type: ignore[arg-type]
    verdict = result.verdict
    assert verdict["outcome"] != "not_judged" and verdict["method"] == "cross_validation" and verdict["rows"] == 70
    assert verdict["interval"][0] <= verdict["difference"] <= verdict["interval"][1]
    announced = next(place for place, text in enumerate(listener.messages) if "10 further trainings" in text)
    assert announced < next(place for place, text in enumerate(listener.messages) if text.startswith("Training on")), (
        "before the start"
    )
    assert listener.folds == [(done, TRAININGS) for done in range(TRAININGS + 1)] and listener.pulses > TRAININGS
    lines = read_jsonl(tmp_path / "a" / "evaluations" / "folds.jsonl")
    assert len(lines) == TRAININGS and sum(line["rows"] for line in lines) == 2 * 70
    assert verdict["after"] == pytest.approx(np.mean([line["after"] for line in lines]))
    assert json.loads((tmp_path / "a" / "evaluations" / "verdict.json").read_text())["method"] == "cross_validation"
    assert sorted(item.name for item in (tmp_path / "a").iterdir()) == ["evaluations", "model", "models"]

    off = recipe(tiny_bert, epochs=2, cross_validation="off")
    plain = run_training(off, small(sentences), home, tmp_path / "b", without)  # type: ignore[arg-type]
    assert plain.verdict["outcome"] == "not_judged" and not without.folds
    assert (plain.steps, plain.best_step, plain.metrics) == (result.steps, result.best_step, result.metrics)
    kept, same = (SentenceTransformer(tmp_path / name / "model", device="cpu").encode("pay the invoice") for name in ("a", "b"))
    assert np.array_equal(kept, same), "what is kept is trained on the training rows as without it"


def test_shuffled_scores_are_not_called_better(tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    result = run_training(recipe(tiny_bert, epochs=2), small(sentences, shuffled=True), home, tmp_path / "out", Recorder())  # type: ignore[arg-type]
    assert result.verdict["method"] == "cross_validation" and result.verdict["outcome"] != "better", result.verdict


@pytest.mark.parametrize("keep", ["latest", "none"])
def test_a_stop_between_the_folds_is_heeded(keep: str, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    listener = Recorder()
    listener.stop_requested = lambda: keep if listener.pulses >= 16 else None  # type: ignore[method-assign]
    result = run_training(recipe(tiny_bert), small(sentences), home, tmp_path / "out", listener)  # type: ignore[arg-type]
    assert result.status == "stopped" and result.verdict["outcome"] == "not_judged"
    assert "stopped after 2 of 10 trainings" in result.verdict["sentence"] and listener.folds[-1][0] == 2
    assert (tmp_path / "out" / "model" / "modules.json").is_file() == (keep == "latest")
    assert (result.best_step is None) == (keep == "none")


def test_where_it_does_not_apply(sentences: list[str], tiny_bert: Path) -> None:
    def applies(parts: GivenSplits, **training: object) -> bool:
        return CrossValidation(recipe(tiny_bert, **training), parts).applies  # type: ignore[arg-type]

    given = small(sentences)
    assert applies(given)
    assert not applies(given, cross_validation="off") and not applies(given, devices=2)
    assert not applies(dataclasses.replace(given, test=part(sentences, 120, 50))), "the test part suffices"
    assert not applies(dataclasses.replace(given, train=part(sentences, 60, 20))), "too few rows that share no sentence"
    own = recipe(tiny_bert).replace(test_data="a file", validation_data="another")
    assert CrossValidation(own, given).rows == 50, "files of their own stay apart"  # type: ignore[arg-type]
