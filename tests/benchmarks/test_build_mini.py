"""The recipe of the bundled encoder, start to end, on a tiny teacher."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import build_mini
from benchmarks.build_mini import CosineDistillLoss, nearest_words, principal_components, variants
from workbench import SentenceTransformer


@pytest.fixture
def data(tmp_path: Path, sentences: list[str]) -> Path:
    """Two sources, one of them with a file that nothing may be taken from."""
    files = {"news/train.csv": sentences[:40], "news/dev.csv": sentences[30:50], "forum/train.csv": sentences[60:80]}
    for name, texts in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["sentence1", "sentence2", "score"])
            half = len(texts) // 2
            writer.writerows(zip(texts[:half], texts[half:], np.linspace(0, 5, half), strict=True))
    return tmp_path / "data"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["build_mini", *map(str, arguments)])
    build_mini.main()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_from_a_folder_of_data_to_scores(data: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, work, student = tmp_path / "texts", tmp_path / "work", tmp_path / "student"
    held_out = data / "news" / "dev.csv"
    run(monkeypatch, "collect", data, "--output", texts, "--exclude", held_out)
    collected = {path.stem: set(path.read_text().splitlines()) for path in texts.glob("*.txt")}
    assert set(collected) == {"news", "forum"}
    forbidden = {text.lower() for text in build_mini._texts_of(held_out)}
    assert not forbidden & {text.lower() for text in collected["news"]}
    assert collected["news"]

    given = ["--teacher", tiny_bert, "--work", work]
    run(monkeypatch, "teach", texts, *given, "--pieces", 120, "--variants", 200, "--exclude", held_out)
    asked = (work / "texts.txt").read_text().splitlines()
    vectors = np.load(work / "vectors.npy")
    assert len(asked) == len(vectors) > 200
    assert not forbidden & {text.lower() for text in asked}
    wanted = SentenceTransformer(tiny_bert, device="cpu").encode(asked[:5])
    assert np.abs(vectors[:5] - wanted).max() < 0.05 * np.abs(wanted).max()

    shape = ["--layers", 1, "--width", 16, "--heads", 2, "--intermediate", 16]
    rate = ["--learning-rate", 1e-3, "--batch-size", 16, "--epochs", 8]
    run(monkeypatch, "train", *given, "--output", student, *shape, *rate)
    run(monkeypatch, "baseline", *given, "--width", 16, "--epochs", 1)
    result = tmp_path / "result.json"
    run(monkeypatch, "score", held_out, *given, "--model", student, "--json", result)
    score = json.loads(result.read_text())
    assert set(score["spearman_cosine"]) == {"teacher", "mini", "word vectors", "untrained word vectors"}

    model = SentenceTransformer(student, device="cpu")
    assert len(model.tokenizer) == 120
    learned = torch.nn.functional.cosine_similarity(
        torch.from_numpy(model.encode(asked)), torch.from_numpy(principal_components(vectors, 16))
    )
    assert float(learned.mean()) > 0.9, "it has learned what the teacher says"


def test_variants_are_distinct_repeatable_and_give_every_word_its_turn() -> None:
    sources = [["the cat sat on the mat", "a dog ran to the park"], ["please pay my bill today"]]
    words = ["cat", "dog", "mat", "park", "bill", "zebra"]
    neighbours = np.array([[1], [0], [3], [2], [5], [4]])
    made = variants(sources, words, neighbours, 300, seed=1)
    assert made == variants(sources, words, neighbours, 300, seed=1) != variants(sources, words, neighbours, 300, seed=2)
    assert len(set(made)) == 300
    seen = {word for text in made for word in text.split()}
    assert seen >= set(words)
    assert "a cat ran to the park" in made, "a word exchanged for its neighbour"
    assert any(text.startswith("I think ") or text.startswith("Report: ") for text in made)


def test_nearest_words_leave_out_the_word_itself() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], dtype=np.float32)
    assert nearest_words(vectors, 1).tolist() == [[1], [0], [3], [2]]


def test_principal_components_keep_cosines() -> None:
    generator = np.random.default_rng(0)
    vectors = (generator.normal(size=(200, 3)) @ generator.normal(size=(3, 12))).astype(np.float32)
    reduced = principal_components(vectors, 3)

    def cosines(x: np.ndarray) -> np.ndarray:
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        return unit @ unit.T

    assert reduced.shape == (200, 3)
    assert np.abs(cosines(reduced) - cosines(vectors)).max() < 1e-5


def test_the_objective_is_nothing_where_the_directions_agree() -> None:
    vectors = torch.randn(4, 3)
    loss = CosineDistillLoss(3, 3, matching=1.0)
    assert float(loss([vectors], 2 * vectors)) < 1e-6
    assert float(loss([vectors], -vectors)) == pytest.approx(2.0, abs=1e-5)
