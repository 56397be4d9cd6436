"""The forgetting check and the set it stands on."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from workbench.evaluation import check_general, general_evaluator
from workbench.evaluation.general import GENERAL_PAIRS, load_general_pairs, not_checked

ROOT = Path(__file__).parents[2]


def model(noise: float, seed: int = 0):
    """A model whose cosines follow the scores of the set, more or less."""
    first, second, scores = load_general_pairs()
    generator = np.random.default_rng(seed)
    table = {}
    for one, other, score in zip(first, second, scores, strict=True):
        angle = np.arccos(np.clip(score + noise * generator.normal(), -1, 1))
        table[one], table[other] = np.array([1.0, 0.0]), np.array([np.cos(angle), np.sin(angle)])
    return lambda texts: np.array([table[text] for text in texts], dtype=np.float32)


def measured(noise: float, seed: int = 0):
    return general_evaluator()(model(noise, seed))


def test_the_set_is_what_its_page_says() -> None:
    with GENERAL_PAIRS.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert f"holds {len(rows)} pairs" in (GENERAL_PAIRS.parent / "README.md").read_text(encoding="utf-8")
    assert 120 <= len(rows) <= 200
    texts = [row[name].casefold() for row in rows for name in ("sentence1", "sentence2")]
    assert len(set(texts)) == len(texts), "no sentence twice: every pair stands alone in the bootstrap"
    counts = Counter(float(row["score"]) for row in rows)
    assert set(counts) == {score / 2 for score in range(11)} and min(counts.values()) >= 10
    samples = set()
    for path in (ROOT / "sample_data").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            samples |= {cell.casefold() for row in csv.reader(stream) for cell in row}
    assert not samples & set(texts)


def test_no_phrase_is_a_template() -> None:
    first, second, _ = load_general_pairs()
    openings = Counter(" ".join(text.casefold().split()[:4]) for text in (*first, *second))
    assert openings.most_common(1)[0][1] <= 3, openings.most_common(3)


def test_the_set_ships_with_the_package() -> None:
    assert "evaluation/general_pairs.csv" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_a_model_that_stays_the_same_has_kept_it() -> None:
    same = measured(0.1)
    check = check_general(same, same)
    assert (check.outcome, check.difference, check.interval) == ("kept", 0, (0, 0))
    assert check.sentence.startswith("General ability was kept: on 148 pairs")


def test_losing_gaining_and_not_knowing() -> None:
    good, poor = measured(0.1), measured(0.8, seed=1)
    lost, gained = check_general(good, poor), check_general(poor, good)
    assert (lost.outcome, gained.outcome) == ("lost", "gained")
    assert lost.interval[1] < 0 < gained.interval[0]
    unclear = check_general(measured(0.5, seed=2), measured(0.5, seed=3))
    assert unclear.outcome == "unclear" and "cannot be told" in unclear.sentence


def test_a_base_without_general_ability_has_little_to_lose() -> None:
    check = check_general(measured(5.0, seed=4), measured(5.0, seed=5))
    assert check.outcome == "little" and check.before < 0.3 and check.sentence.startswith("Little to lose")


def test_what_was_not_checked_says_why() -> None:
    assert not_checked("the base is untrained").to_dict()["interval"] is None
    assert not_checked("the base is untrained").sentence == "General ability was not checked: the base is untrained."


def test_a_real_encoder_follows_the_set(minilm) -> None:
    from workbench.models import SentenceTransformer

    found = general_evaluator()(SentenceTransformer(minilm, device="cpu").encode)
    assert found.value == pytest.approx(0.913, abs=0.01), "the pairs are ones a good encoder can order"
