"""How a run came out, over HTTP."""

import csv
import io

import pytest
from starlette.testclient import TestClient

from tests.finished import scored_run
from workbench.runs import list_runs
from workbench.runs.corrections import read_corrections
from workbench.ui import create_app

OWN = {"Origin": "http://127.0.0.1"}


@pytest.fixture
def client(settings):
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def run(home, tmp_path, sentences):
    return scored_run(home, tmp_path, sentences)


def test_the_outcome_has_all_parts(client, run):
    found = client.get(f"/api/runs/{run.run_id}/outcome").json()
    assert found["verdict"]["sentence"] == run.verdict["sentence"]
    assert found["general"]["sentence"] and found["calibration"]["threshold"]["tuned"]["accuracy"] is not None
    assert found["has_errors"] and found["children"] == []


def test_errors_come_in_pages(client, run):
    first = client.get(f"/api/runs/{run.run_id}/errors", params={"limit": 5}).json()
    assert len(first["rows"]) == 5 and first["found"] == first["total"] > 50 and first["scale"] == [0, 5]
    second = client.get(f"/api/runs/{run.run_id}/errors", params={"limit": 5, "offset": 5}).json()
    errors = [row["tuned"]["error"] for row in (*first["rows"], *second["rows"])]
    assert errors == sorted(errors, reverse=True)
    assert client.get(f"/api/runs/{run.run_id}/errors", params={"sort": "x"}).status_code == 404
    assert client.get(f"/api/runs/{run.run_id}/errors", params={"limit": 10**9, "offset": -5}).json()["rows"][0] == first["rows"][0]


def test_marking_and_retraining_are_posts_of_the_own_page(client, run, home, monkeypatch):
    monkeypatch.setattr("workbench.runs.submission.ensure_supervisor", lambda home: None)
    row = client.get(f"/api/runs/{run.run_id}/errors").json()["rows"][0]["row"]
    marks, again = f"/api/runs/{run.run_id}/corrections", f"/api/runs/{run.run_id}/retrain"
    for path in (marks, again):
        assert client.get(path).status_code in {404, 405}
        assert client.post(path, json={"row": row, "action": "drop"}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert read_corrections(run.run_id, home) == {} and len(list_runs(home)) == 1
    bad = client.post(marks, json={"row": row, "action": "fix", "value": "77"}, headers=OWN)
    assert bad.status_code == 404 and "from 0 to 5, got '77'" in bad.json()["error"]
    good = client.post(marks, json={"row": row, "action": "fix", "value": "1.5"}, headers=OWN).json()
    assert good["row"]["mark"] == {"action": "fix", "value": "1.5"} and good["marks"] == {"fix": 1, "drop": 0, "review": 0}
    queued = client.post(again, headers=OWN).json()
    assert (queued["parent"], queued["status"]) == (run.run_id, "queued")


def test_tables_as_csv_change_nothing_and_hold_no_formula(client, run, home):
    answer = client.get(f"/api/runs/{run.run_id}/errors.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert f'filename="errors-{run.run_id}.csv"' in answer.headers["content-disposition"]
    lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert lines[0][:4] == ["row", "sentence1", "sentence2", "score"]
    assert len(lines) - 1 == client.get(f"/api/runs/{run.run_id}/errors").json()["total"]
    assert not [cell for line in lines for cell in line if cell.startswith(("=", "@"))]
    metrics = client.get(f"/api/runs/{run.run_id}/metrics.csv").text.removeprefix("\ufeff").splitlines()
    assert metrics[0] == "metric,before,after,difference,interval_low,interval_high"
    assert any(line.startswith("spearman_cosine,") for line in metrics)
    assert len(list_runs(home)) == 1 and read_corrections(run.run_id, home) == {}


@pytest.mark.parametrize("path", ["outcome", "errors", "errors.csv", "metrics.csv"])
def test_an_unknown_run_is_404_in_words(client, path):
    answer = client.get(f"/api/runs/20260101-000000-aaaa/{path}")
    assert answer.status_code == 404 and "no run" in answer.json()["error"]
