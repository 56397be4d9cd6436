"""What an evaluator says of the single rows, on cases one can count by hand."""

import numpy as np
import pytest

from tests.evaluation.test_evaluators import GivenVectors, make_rows
from workbench.evaluation import ERROR_WORDS, build_evaluator
from workbench.recipe import KINDS


def plane(degrees: dict[str, float]):
    """A model in two dimensions: each text is a direction."""

    def encode(texts: list[str]) -> np.ndarray:
        angles = np.radians([degrees[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    return encode


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_its_values(kind: str) -> None:
    columns, labels = make_rows(kind)
    result = build_evaluator(kind, columns, labels)(GivenVectors())
    details = result.describe()
    assert details.error.shape == (result.rows,) and np.isfinite(details.error).all()
    assert all(values.shape == (result.rows,) for values in details.columns.values()) and details.columns
    assert len(details.cosines) == len(details.groups) >= result.rows
    assert np.abs(details.cosines).max() <= 1 + 1e-6
    assert (details.targets is None) == (kind in {"class_pairs", "pairs", "triplets"})
    assert set(ERROR_WORDS) == set(KINDS)


def test_the_error_of_a_scored_pair_is_how_far_its_rank_is_off() -> None:
    encode = plane({"a": 0, "b": 10, "c": 40, "d": 80})
    details = build_evaluator("scored_pairs", [["a", "a", "a"], ["b", "c", "d"]], [1.0, 0.0, 0.5])(encode).describe()
    assert details.error == pytest.approx([0, 0.5, 0.5])
    assert details.groups.tolist() == [1, 0, 1], "half of the scale counts as a match"


def test_the_error_of_a_labelled_pair_is_the_share_of_others_on_the_wrong_side() -> None:
    encode = plane({"a": 0, "near": 5, "mid": 30, "far": 60, "farther": 80})
    second = ["far", "near", "mid", "farther"]
    details = build_evaluator("labelled_pairs", [["a"] * 4, second], [1, 1, 0, 0])(encode).describe()
    assert details.error == pytest.approx([0.5, 0, 0.5, 0])


def test_the_error_of_a_tie_is_half() -> None:
    encode = plane({"a": 0, "b": 0})
    details = build_evaluator("labelled_pairs", [["a", "a"], ["b", "b"]], [1, 0])(encode).describe()
    assert details.error.tolist() == [0.5, 0.5]


def test_the_rank_of_a_partner_does_not_count_other_right_answers() -> None:
    encode = plane({"q": 0, "r": 90, "first": 5, "second": 10, "other": 7, "own": 89})
    details = build_evaluator("pairs", [["q", "q", "r", "r"], ["first", "second", "own", "other"]], None)(encode).describe()
    assert details.columns["rank"].tolist() == [1, 2, 1, 2], "`other` pushes `second` down, but `first` does not"
    assert details.error == pytest.approx(1 - 1 / details.columns["rank"])
    assert details.groups.tolist().count(1) == 4
    assert 0 < details.groups.tolist().count(0) <= 4


def test_a_triplet_in_the_wrong_order_has_an_error_above_zero() -> None:
    encode = plane({"a": 0, "near": 10, "far": 50})
    details = build_evaluator("triplets", [["a", "a"], ["near", "far"], ["far", "near"]], None)(encode).describe()
    assert details.error[0] < 0 < details.error[1]
    assert details.columns["margin"] == pytest.approx(-details.error)


def test_the_error_of_a_class_is_what_the_right_one_lacks() -> None:
    columns, labels = make_rows("class_pairs")
    result = build_evaluator("class_pairs", columns, labels)(GivenVectors())
    details = result.describe()
    right = details.columns["predicted"] == labels
    assert right.mean() == pytest.approx(result.value)
    assert (details.error[right] < 2 / 3 + 1e-9).all(), "of three classes the likeliest has at least a third"
    assert details.error[~right].min() >= 0.5 - 1e-9
