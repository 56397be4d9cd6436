"""Similar and dissimilar pairs, told apart by the kind of the data."""

import numpy as np
import pytest

from workbench.evaluation import build_evaluator, measure_separation
from workbench.evaluation.separation import BINS

VECTORS = {"east": (1.0, 0.0), "north": (0.0, 2.0), "west": (-3.0, 0.0), "northeast": (1.0, 1.0)}
HALF = np.sqrt(0.5)


def encode(texts: list[str]) -> np.ndarray:
    return np.array([VECTORS[text] for text in texts], dtype=np.float32)


def measure(kind: str, columns: list[list[str]], labels: list | None = None):
    return measure_separation(kind, build_evaluator(kind, columns, labels), encode)


def test_scores_are_split_at_half_the_scale() -> None:
    found = measure("scored_pairs", [["east", "east", "east"], ["east", "north", "west"]], [0.5, 0.49, 0.0])
    assert found is not None
    assert found.positive == pytest.approx([1]) and found.negative == pytest.approx([0, -1])


def test_labels_are_the_sides() -> None:
    found = measure("labelled_pairs", [["east", "east"], ["north", "northeast"]], [0, 1])
    assert found is not None
    assert found.positive == pytest.approx([HALF]) and found.negative == pytest.approx([0])


def test_a_triplet_brings_both() -> None:
    found = measure("triplets", [["east"], ["northeast"], ["west"]])
    assert found is not None
    assert found.positive == pytest.approx([HALF]) and found.negative == pytest.approx([-1])


def test_partners_of_other_rows_are_wrong_unless_they_are_right_too() -> None:
    anchors, positives = ["east", "east", "north"], ["east", "northeast", "north"]
    found = measure("pairs", [anchors, positives])
    assert found is not None
    assert found.positive == pytest.approx([1, HALF, 1])
    # east-northeast and east-east are pairs of the data; what is left: east with north (twice), north with the other two.
    assert sorted(found.negative) == pytest.approx([0, 0, 0, HALF])


def test_several_classes_have_no_right_and_wrong() -> None:
    assert measure("class_pairs", [["east"], ["north"]], [2]) is None


def test_it_is_kept_as_counts() -> None:
    found = measure("scored_pairs", [["east"] * 4, ["east", "west", "north", "northeast"]], [1, 0, 0, 1])
    assert found is not None
    kept = found.to_dict()
    assert len(kept["positive"]) == len(kept["negative"]) == BINS
    assert kept["positive"][-1] == 1 and sum(kept["positive"]) == 2, "a cosine of 1 is in the last bin"
    assert kept["negative"][0] == 1 and sum(kept["negative"]) == 2
    assert kept["positive_mean"] == pytest.approx((1 + HALF) / 2, abs=1e-4) and kept["negative_mean"] == -0.5


def test_a_side_without_pairs_has_no_mean() -> None:
    found = measure("scored_pairs", [["east"], ["north"]], [1])
    assert found is not None
    assert found.to_dict()["negative_mean"] is None and sum(found.to_dict()["negative"]) == 0


def test_rounding_loses_no_pair() -> None:
    found = measure("triplets", [["northeast"] * 3, ["northeast"] * 3, ["east"] * 3])
    assert found is not None and sum(found.to_dict()["positive"]) == 3
