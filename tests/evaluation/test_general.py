"""The forgetting check and the set it stands on."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from workbench.evaluation import check_general, general_evaluator
from workbench.evaluation.general import BLOCK, GENERAL_PAIRS, crossed_places, load_general_pairs, not_checked

ROOT = Path(__file__).parents[2]


def model(noise: float, seed: int = 0, common: float = 0.0):
    """A model whose cosines follow the scores of the set, more or less; unrelated texts have about the squared share `common`."""
    first, second, scores = load_general_pairs()
    generator = np.random.default_rng(seed)
    table = {}
    for place, (one, other, score) in enumerate(zip(first, second, scores, strict=True)):
        cosine = np.clip(score + noise * generator.normal(), -1, 1)
        # Pairs of one block lie in planes of their own, so that their crossed texts have nothing in common.
        here, there = np.zeros(2 * BLOCK + 1), np.zeros(2 * BLOCK + 1)
        here[2 * (place % BLOCK)] = 1
        there[2 * (place % BLOCK)], there[2 * (place % BLOCK) + 1] = cosine, np.sqrt(1 - cosine**2)
        for text, vector in ((one, here), (other, there)):
            table[text] = vector + common * np.eye(2 * BLOCK + 1)[-1]
    return lambda texts: np.array([table[text] for text in texts], dtype=np.float32)


def measured(noise: float, seed: int = 0, common: float = 0.0):
    return general_evaluator()(model(noise, seed, common))


def test_the_set_is_what_its_page_says() -> None:
    with GENERAL_PAIRS.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert f"holds {len(rows)} pairs" in (GENERAL_PAIRS.parent / "README.md").read_text(encoding="utf-8")
    assert 500 <= len(rows) <= 600
    texts = [row[name].casefold() for row in rows for name in ("sentence1", "sentence2")]
    assert len(set(texts)) == len(texts), "no sentence twice: every pair stands alone in the bootstrap"
    counts = Counter(float(row["score"]) for row in rows)
    assert set(counts) == {score / 2 for score in range(11)} and min(counts.values()) >= 20
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
    assert check.sentence.startswith("General ability was kept: on 549 pairs")
    assert check.drift == "none" and check.unrelated_cosine == {
        "before": pytest.approx(0, abs=0.01),
        "after": pytest.approx(0, abs=0.01),
    }


def test_losing_gaining_and_not_knowing() -> None:
    good, poor = measured(0.1), measured(0.8, seed=1)
    lost, gained = check_general(good, poor), check_general(poor, good)
    assert (lost.outcome, gained.outcome) == ("lost", "kept")
    assert gained.sentence.startswith("General ability was gained")
    assert lost.interval[1] < 0 < gained.interval[0]
    unclear = check_general(measured(1.2, seed=4), measured(1.2, seed=5))
    assert unclear.outcome == "cannot_tell" and "cannot be told" in unclear.sentence


def test_the_interval_can_tell_two_hundredths() -> None:
    """Two models whose order differs a little everywhere, by about as much as tuning on other sentences does."""
    check = check_general(measured(0.1), measured(0.14))
    assert check.outcome == "lost" and -0.02 < check.difference < 0
    assert check.interval[1] - check.interval[0] < 0.02


def test_a_base_without_general_ability_has_little_to_lose() -> None:
    generator = np.random.default_rng(0)
    measure = general_evaluator()
    base = measure(lambda texts: generator.normal(size=(len(texts), 8)))
    check = check_general(base, base)
    assert check.outcome == "cannot_tell" and check.before < 0.3 and check.sentence.startswith("Little to lose")


@pytest.mark.parametrize(("common", "drift"), [(0.2, "none"), (0.5, "noticeable"), (1.0, "strong")])
def test_unrelated_texts_that_come_closer_are_named(common: float, drift: str) -> None:
    check = check_general(measured(0.1), measured(0.1, common=common))
    expected = common**2 / (1 + common**2)
    assert check.unrelated_cosine["after"] == pytest.approx(expected, abs=0.01)
    assert check.drift == drift and f"to {expected:.2f}" in check.sentence
    assert ("no longer means" in check.sentence) == (drift != "none")


def test_no_sentence_stands_in_two_blocks_and_none_is_crossed_with_its_partner() -> None:
    measure = general_evaluator()
    pairs = len(load_general_pairs()[0])
    block: dict[str, int] = {}
    for place, texts in enumerate(zip(*measure.columns, strict=True)):
        for text in texts:
            assert block.setdefault(text, place % pairs // BLOCK) == place % pairs // BLOCK
    assert (crossed_places(pairs) != np.arange(pairs)).all()
    assert sorted(crossed_places(pairs)) == list(range(pairs))


def test_what_was_not_checked_says_why() -> None:
    assert not_checked("the base is untrained").to_dict()["interval"] is None
    assert not_checked("the base is untrained").sentence == "General ability was not checked: the base is untrained."


def test_a_real_encoder_follows_the_set(minilm) -> None:
    from workbench.models import SentenceTransformer

    found = general_evaluator()(SentenceTransformer(minilm, device="cpu").encode)
    assert found.value == pytest.approx(0.847, abs=0.01), "the pairs are ones a good encoder can order, and not all of them"
