"""A threshold chosen on one part and counted on another, and how cosines are spread."""

import json

import numpy as np
import pytest

from workbench.evaluation import Calibration, Details, calibrate, distribution, read_calibration, reliability
from workbench.evaluation.calibration import match_class, read_reason, why_no_threshold


def details(cosines: list[float], groups: list[int], targets: list[float] | None = None) -> Details:
    values = np.array(cosines)
    return Details(
        {"cosine": values}, np.zeros(len(values)), values, np.array(groups), None if targets is None else np.array(targets)
    )


VALIDATION = {"base": details([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0]), "tuned": details([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0])}
TEST = {"base": details([0.9, 0.3, 0.6], [1, 1, 0]), "tuned": details([0.95, 0.6, 0.55, 0.3, 0.4], [1, 1, 0, 0, 1])}


def test_the_threshold_comes_from_validation_and_the_counts_from_test() -> None:
    found = calibrate("labelled_pairs", VALIDATION, TEST, 4, 5)
    assert found is not None and found.threshold == pytest.approx(0.5), "half-way between 0.8 and 0.2"
    tuned = found.tuned
    assert (tuned.true_positives, tuned.false_positives, tuned.false_negatives, tuned.true_negatives) == (2, 1, 1, 1)
    assert tuned.accuracy == pytest.approx(3 / 5) and tuned.f1 == pytest.approx(4 / 6)
    other = {side: details([0.0], [1]) for side in TEST}
    assert calibrate("labelled_pairs", VALIDATION, other, 4, 1).threshold == found.threshold, "the test part has no say"


def test_there_is_no_threshold_for_classes_or_for_one_side_only() -> None:
    assert calibrate("class_pairs", VALIDATION, TEST, 4, 5) is None
    only = {side: details([0.1, 0.2], [1, 1]) for side in VALIDATION}
    assert calibrate("labelled_pairs", only, TEST, 2, 5) is None


CLASSES = ("contradiction", "Entailment", "neutral")
NLI = {side: details([0.9, 0.8, 0.3, 0.2, 0.85], [1, 1, 0, 2, second]) for side, second in (("base", 2), ("tuned", 1))}


def test_a_class_that_says_match_has_a_threshold() -> None:
    test = {side: details([0.95, 0.6, 0.1, 0.7], [1, 0, 2, 1]) for side in NLI}
    found = calibrate("class_pairs", NLI, test, 5, 4, CLASSES)
    assert found is not None and found.match == "class Entailment"
    assert found.no_match == "any other class (contradiction, neutral)"
    assert found.tuned.value == pytest.approx(0.55), "half-way between the lowest of the class, 0.8, and the next, 0.3"
    tuned = found.tuned
    assert (tuned.true_positives, tuned.false_positives, tuned.false_negatives, tuned.true_negatives) == (2, 1, 0, 1)
    assert found.base.value < 0.85, "a pair of another class between the two does not move it above them"
    assert why_no_threshold("class_pairs", NLI, CLASSES) == ""


@pytest.mark.parametrize(
    "classes", [("near", "far", "other"), ("yes", "no", "perhaps"), ("0", "1", "2"), ("same", "duplicate", "other"), ("same",), ()]
)
def test_where_no_class_or_several_say_match_the_reason_is_said(classes) -> None:
    assert match_class(classes) is None and calibrate("class_pairs", NLI, NLI, 5, 5, classes) is None
    assert f"none of the classes {', '.join(classes)} says" in why_no_threshold("class_pairs", NLI, classes)


def test_other_reasons_for_no_threshold() -> None:
    assert "no validation part" in why_no_threshold("scored_pairs", None)
    one_sided = {side: details([0.1, 0.2], [0, 2]) for side in NLI}
    assert "both matches and others" in why_no_threshold("class_pairs", one_sided, CLASSES)
    assert calibrate("class_pairs", one_sided, NLI, 2, 5, CLASSES) is None
    assert why_no_threshold("labelled_pairs", VALIDATION) == ""


def test_it_is_read_back_from_a_run(tmp_path) -> None:
    assert read_calibration(tmp_path) is None
    found = calibrate("scored_pairs", VALIDATION, TEST, 4, 5)
    path = tmp_path / "evaluations" / "calibration.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"threshold": found.to_dict()}))
    assert read_calibration(tmp_path) == found and isinstance(found, Calibration)
    assert read_reason(tmp_path) == ""
    path.write_text(json.dumps({"threshold": None, "no_threshold": "nothing tells it"}))
    assert read_calibration(tmp_path) is None and read_reason(tmp_path) == "nothing tells it"
    path.write_text("{")
    assert read_calibration(tmp_path) is None


def test_the_distribution_counts_every_pair_once() -> None:
    found = distribution(TEST, ["no match", "match"])
    assert [group["name"] for group in found["groups"]] == ["no match", "match"]
    assert [sum(group["tuned"]) for group in found["groups"]] == [2, 3]
    assert [sum(group["base"]) for group in found["groups"]] == [1, 2]
    assert len(found["edges"]) == len(found["groups"][0]["base"]) + 1
    assert found["edges"][0] <= 0.3 and found["edges"][-1] >= 0.95


def test_a_constant_model_has_a_distribution_too() -> None:
    same = {side: details([1.0, 1.0], [0, 1]) for side in ("base", "tuned")}
    assert [sum(group["base"]) for group in distribution(same, ["no", "yes"])["groups"]] == [1, 1]


def test_reliability_is_in_order_of_cosine() -> None:
    cosines = np.linspace(0, 1, 40)
    points = reliability(details(cosines[::-1].tolist(), [0] * 40, (cosines[::-1] ** 2).tolist()))
    assert len(points) == 10 and all(point["pairs"] == 4 for point in points)
    assert [point["cosine"] for point in points] == sorted(point["cosine"] for point in points)
    assert points[-1]["target"] == pytest.approx(float((cosines[-4:] ** 2).mean()))
    assert reliability(details([0.1], [1])) == []
