"""What an evaluation shows beside its metric."""

import json
from pathlib import Path

import numpy as np

from workbench.evaluation import build_evaluator
from workbench.training.periodic_evaluation import WATCH_FILE, PeriodicEvaluation


class Encoder:
    """Gives each text a direction of its own, and counts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.texts += texts
        angles = np.array([len(text) / 10 for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32) * 5


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / WATCH_FILE).read_text().splitlines()]


def test_every_text_is_encoded_once(tmp_path: Path) -> None:
    validation = build_evaluator("scored_pairs", [["a", "bb"], ["bb", "cccc"]], [1.0, 0.0])
    encoder = Encoder()
    measured = PeriodicEvaluation("scored_pairs", validation, ["cccc", "dddddd"], tmp_path).measure(encoder, 0)
    assert measured is not None
    evaluation, further = measured
    assert sorted(encoder.texts) == ["a", "bb", "cccc", "dddddd"]
    assert evaluation.primary_metric == "spearman_cosine"
    assert sum(further["cosine"]["positive"]) == sum(further["cosine"]["negative"]) == 1


def test_the_watch_list_is_recorded_step_by_step(tmp_path: Path) -> None:
    insight = PeriodicEvaluation("pairs", None, ["a", "bb", "cccc"], tmp_path / "evaluations")
    assert not insight.validates
    for step in (0, 5):
        assert insight.measure(Encoder(), step) is None
    first, second = lines(tmp_path / "evaluations")
    assert (first["step"], second["step"]) == (0, 5)
    matrix = np.array(first["matrix"])
    assert matrix.shape == (3, 3)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-4)
    np.testing.assert_allclose(matrix[0, 2], np.cos(0.3), atol=1e-4)


def test_without_a_watch_list_there_is_no_file(tmp_path: Path) -> None:
    PeriodicEvaluation("pairs", build_evaluator("pairs", [["a", "bb"], ["c", "dd"]], None), [], tmp_path).measure(Encoder(), 0)
    assert list(tmp_path.iterdir()) == []


def test_pairs_of_several_classes_have_no_histogram(tmp_path: Path) -> None:
    columns = [[f"{letter}{'x' * number}" for number in range(12)] for letter in "ab"]
    validation = build_evaluator("class_pairs", columns, [number % 3 for number in range(12)])
    measured = PeriodicEvaluation("class_pairs", validation, [], tmp_path).measure(Encoder(), 0)
    assert measured is not None and measured[1] == {}
