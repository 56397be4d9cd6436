import pytest

from tests.runs.fake_supervisor import start_fake_run
from tests.runs.test_submission import write_csv
from workbench.errors import InputError, RunError
from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import RunResult, follow, get_run, list_runs, read_live, request_stop, train
from workbench.runs.supervisor import supervise


@pytest.fixture
def recipe(tmp_path, sentences, monkeypatch):
    """A recipe whose run is done, without torch, by the time it is queued."""
    monkeypatch.setattr("workbench.runs.submission.ensure_supervisor", lambda home: supervise(home, start_fake_run))
    rows = [(sentences[2 * row], sentences[2 * row + 1], row % 6) for row in range(60)]
    data = write_csv(tmp_path / "scored.csv", ("sentence1", "sentence2", "score"), rows)
    return Recipe(base="scratch", data=data, training=TrainingConfig(max_steps=12))


def test_training_returns_what_the_run_left(home, recipe):
    result = train(recipe)
    (run,) = list_runs(home)
    assert (result.run_id, result.status, result.steps, result.pairs_per_second) == (run.run_id, "completed", 12, 20.0)
    assert result.precision == "bf16"
    assert result.verdict["outcome"] == "not_judged" and result.metrics["before"] == {"spearman_cosine": 0.5}
    assert result.to_dict() == RunResult.from_run(run).to_dict()


def test_a_run_that_failed_raises_its_own_words(home, recipe):
    with pytest.raises(RunError, match="failed: The loss is no longer a number"):
        train(recipe.replace(name="wrong"), home)


def test_a_follower_sees_each_point_once_and_the_end(home, recipe):
    run_id = train(recipe, home).run_id
    seen = []
    assert follow(run_id, home, seen.append) == get_run(run_id, home)
    assert [point for live in seen for point in live["points"]] == read_live(run_id, home)["points"]
    assert seen[-1]["run"]["status"] == "completed"


def test_a_run_that_never_started_left_nothing(home, add_run):
    run_id = add_run()
    request_stop(run_id, home)
    result = RunResult.from_run(follow(run_id, home))
    assert (result.status, result.output_dir, result.steps, result.metrics) == ("stopped", "", 0, {"before": None, "after": None})


def test_there_is_nothing_to_follow_in_an_unknown_run(home):
    with pytest.raises(InputError, match="There is no run"):
        follow("20260101-000000-aaaa", home)
