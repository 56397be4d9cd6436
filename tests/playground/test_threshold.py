import json
from pathlib import Path

import pytest

from workbench.evaluation import Calibration
from workbench.evaluation import Threshold as Counts
from workbench.playground import find_threshold
from workbench.runs.database import open_database
from workbench.runs.run import run_folder

CALIBRATION = Calibration(
    Counts(0.71, 40, 5, 10, 45), Counts(0.9, 30, 20, 20, 30), "label 1, a match", "label 0, no match", 60, 100
)


def calibrated(run_id: str, home: Path, threshold: dict | None) -> str:
    """Leave what a finished run leaves."""
    folder = run_folder(run_id, home) / "evaluations"
    folder.mkdir(parents=True)
    (folder / "calibration.json").write_text(json.dumps({"threshold": threshold}))
    return run_id


def test_each_model_has_the_threshold_its_run_chose_for_it(home, add_run):
    run_id = calibrated(add_run("completed"), home, CALIBRATION.to_dict())
    tuned, base = find_threshold(run_id, home), find_threshold(f"base:{run_id}", home)
    assert (tuned.value, base.value) == (0.71, 0.9)
    assert "60 validation rows" in tuned.source and "85% of 100 test pairs" in tuned.source and "label 1" in tuned.source
    assert "60% of 100" in base.source
    assert tuned.unrelated is None, "the run did not measure it"
    with open_database(home) as connection:
        result = json.dumps({"unrelated_cosine": {"before": 0.05, "after": 0.1}})
        connection.execute("UPDATE runs SET result = ? WHERE run_id = ?", (result, run_id))
    assert (find_threshold(run_id, home).unrelated, find_threshold(f"base:{run_id}", home).unrelated) == (0.1, 0.05)


@pytest.mark.parametrize("written", [True, False])
def test_where_nothing_tells_it_the_reason_is_said(home, add_run, written):
    run_id = add_run("completed")
    if written:
        calibrated(run_id, home, None)
    found = find_threshold(run_id, home)
    assert found.value is None and "for want of validation rows" in found.source


def test_a_model_without_a_run_has_none(home):
    assert "belongs to no run" in find_threshold("someone/model", home).source
    assert "There is no run" in find_threshold("20260101-000000-aaaa", home).source


def test_the_run_s_own_reason_is_said(home, add_run):
    run_id = calibrated(add_run("completed"), home, None)
    path = run_folder(run_id, home) / "evaluations" / "calibration.json"
    path.write_text(json.dumps({"threshold": None, "no_threshold": "none of the classes a, b says match"}))
    assert find_threshold(run_id, home).source == "is not known: none of the classes a, b says match."
