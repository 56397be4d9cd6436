"""Real runs on two processes: how they stop, and what is left when one of them is killed."""

import psutil
import pytest

from tests.runs.conftest import wait_for
from tests.runs.test_submission import write_csv
from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import follow, get_run, read_live, request_stop, store, submit
from workbench.runs.database import open_database

pytestmark = pytest.mark.slow


@pytest.fixture
def start(home, tmp_path, sentences, tiny_bert):
    """Queue a run of two processes on the CPU."""
    rows = [(sentences[2 * row], sentences[2 * row + 1], row % 6) for row in range(90)]
    data = write_csv(tmp_path / "scored.csv", ("sentence1", "sentence2", "score"), rows)

    def submit_run(**changes):
        settings = {"epochs": 1, "batch_size": 16, "device": "cpu", "devices": 2, "precision": "fp32", **changes}
        return submit(Recipe(base=str(tiny_bert), data=data, training=TrainingConfig(**settings)), home).run_id

    return submit_run


@pytest.fixture
def endless(home, start):
    """A run in the middle of its training: its id, torchrun, and its processes by rank."""
    run_id = start(max_steps=500_000, eval_steps=1_000)
    wait_for(lambda: get_run(run_id, home).step or not get_run(run_id, home).active, "a first step")
    with open_database(home) as connection:
        torchrun = psutil.Process(dict(store.processes(connection))[run_id].pid)
    ranks = {process.environ()["RANK"]: process for process in torchrun.children()}
    assert sorted(ranks) == ["0", "1"]
    return run_id, torchrun, [ranks["0"], ranks["1"]]


def wait_for_end(run_id, home, processes):
    wait_for(lambda: not get_run(run_id, home).active, "the end of the run")
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive, "nothing is left behind"
    return get_run(run_id, home)


def test_two_processes_report_as_one(home, start):
    run_id = start(epochs=2)
    ended = follow(run_id, home)
    live = read_live(run_id, home)
    assert (ended.status, ended.message, ended.device) == ("completed", "", "2 x cpu"), live["log"]
    steps = [point["step"] for point in live["points"] if point["type"] == "train"]
    assert steps == list(range(1, ended.total_steps + 1)), "each step once"
    assert ended.metrics["after"] is not None and ended.model_folder is not None
    assert live["log"].count("Completed.") == 1


@pytest.mark.parametrize("how", ["asked", "signalled"])
def test_a_stop_ends_both_at_the_same_step_and_keeps_the_latest_model(how, home, endless):
    run_id, torchrun, ranks = endless
    if how == "asked":
        request_stop(run_id, home, keep="latest")
    else:
        torchrun.terminate()
    run = wait_for_end(run_id, home, [torchrun, *ranks])
    assert run.status == "stopped" and "the latest model" in run.message
    assert run.result["best_step"] == run.step > 0 and run.model_folder is not None


@pytest.mark.parametrize(
    ("victim", "status", "words"),
    [
        (0, "failed", "One of the run's 2 processes ended while the others waited for it"),
        (1, "failed", "One of the run's 2 processes ended while the others waited for it"),
        (None, "interrupted", "killed from outside"),
    ],
)
def test_a_process_that_is_killed_ends_all_of_them(victim, status, words, home, endless):
    run_id, torchrun, ranks = endless
    (torchrun if victim is None else ranks[victim]).kill()
    run = wait_for_end(run_id, home, [torchrun, *ranks])
    assert run.status == status and words in run.message
