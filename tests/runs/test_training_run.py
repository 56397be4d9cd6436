"""Real runs: the supervisor, a child with torch, a tiny encoder."""

import json

import psutil
import pytest

from tests.runs.conftest import wait_for
from tests.runs.test_submission import write_csv
from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import RunResult, follow, get_run, read_live, read_series, request_stop, resolve_model, submit
from workbench.runs.lock import supervisor_of


@pytest.fixture
def data(tmp_path, sentences):
    rows = [(sentences[2 * row], sentences[2 * row + 1], row % 6) for row in range(90)]
    return write_csv(tmp_path / "scored.csv", ("sentence1", "sentence2", "score"), rows)


def settings(**changes):
    return TrainingConfig(**{"epochs": 1, "batch_size": 16, "device": "cpu", "precision": "fp32", **changes})


def test_a_run_from_queue_to_model(home, data, tiny_bert):
    run = submit(Recipe(base=str(tiny_bert), data=data, training=settings()), home)
    seen = []
    ended = follow(run.run_id, home, seen.append)
    assert (ended.status, ended.message) == ("completed", ""), read_live(run.run_id, home)["log"]
    assert ended.step == ended.total_steps > 0 and ended.device == "cpu"
    assert ended.metrics["before"]["spearman_cosine"] is not None and ended.metrics["after"] is not None
    assert ended.verdict["method"] == "cross_validation" and ended.verdict["interval"] and ended.primary_metric == "spearman_cosine"
    assert ended.facts["cross_validation"] == {"done": 10, "total": 10}
    assert "Cross-validation, training 10 of 10" in (ended.folder / "log.txt").read_text(encoding="utf-8")
    points = [point for live in seen for point in live["points"]]
    assert [point["step"] for point in points if point["type"] == "train"] == list(range(1, ended.step + 1))
    assert read_series([run.run_id], home)[run.run_id]["evaluation"] == [point for point in points if point["type"] == "evaluation"]
    folder = resolve_model(run.run_id, home)
    assert json.loads((ended.folder / "model" / "modules.json").read_text())
    assert folder == str(ended.folder / "model")
    answer, shown = RunResult.from_run(ended).to_dict(), ended.to_dict()
    assert answer["output_dir"] == folder
    assert answer["general"]["pairs"] == 549 and set(answer["unrelated_cosine"]) == {"before", "after"}
    assert [warning["kind"] for warning in answer["warnings"]] == ["few_validation_rows"]
    for name in ("general", "unrelated_cosine", "threshold", "warnings"):
        assert shown[name] == answer[name], "`train` and `runs show` tell the same"

    tuned_again = submit(Recipe(base=run.run_id, data=data, training=settings(max_steps=500_000)), home)
    wait_for(lambda: get_run(tuned_again.run_id, home).step, "a first step")
    supervisor = psutil.Process(supervisor_of(home).pid)
    supervisor.kill()
    supervisor.wait()
    request_stop(tuned_again.run_id, home, keep="latest")
    stopped = follow(tuned_again.run_id, home)
    assert stopped.status == "stopped" and "the latest model" in stopped.message
    assert stopped.result["best_step"] == stopped.step
    assert stopped.model_folder is not None
