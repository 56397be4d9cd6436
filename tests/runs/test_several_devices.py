"""Real runs on two processes: how they stop, and what is left when one of them is killed."""

import ipaddress

import psutil
import pytest

from tests.runs.conftest import wait_for
from tests.runs.test_submission import write_csv
from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import follow, get_run, read_live, request_stop, store, submit
from workbench.runs.database import open_database
from workbench.runs.run import run_folder

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
    """A run in the middle of its training: its id, launcher, and its processes by rank."""
    run_id = start(max_steps=500_000, eval_steps=1_000)
    wait_for(lambda: get_run(run_id, home).step or not get_run(run_id, home).active, "a first step")
    with open_database(home) as connection:
        launcher = psutil.Process(dict(store.processes(connection))[run_id].pid)
    ranks = {process.environ()["RANK"]: process for process in launcher.children()}
    assert sorted(ranks) == ["0", "1"]
    assert run_folder(run_id, home).joinpath("meeting").stat().st_mode & 0o077 == 0
    for process in (launcher, *ranks.values()):
        listening = [each for each in process.net_connections(kind="inet") if each.status == psutil.CONN_LISTEN]
        assert all(ipaddress.ip_address(each.laddr.ip).is_loopback for each in listening), listening
    return run_id, launcher, [ranks["0"], ranks["1"]]


def wait_for_end(run_id, home, processes):
    wait_for(lambda: not get_run(run_id, home).active, "the end of the run")
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive, "nothing is left behind"
    run = get_run(run_id, home)
    assert not (run.folder / "meeting").exists()
    return run


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
    run_id, launcher, ranks = endless
    if how == "asked":
        request_stop(run_id, home, keep="latest")
    else:
        launcher.terminate()
    run = wait_for_end(run_id, home, [launcher, *ranks])
    assert run.status == "stopped" and "the latest model" in run.message
    assert run.result["best_step"] == run.step > 0 and run.model_folder is not None


@pytest.mark.parametrize(
    ("victim", "status", "words"),
    [
        (0, "interrupted", "Process 1 of the run's 2 ended, and with it the others. The training process was killed from outside"),
        (1, "interrupted", "Process 2 of the run's 2 ended, and with it the others. The training process was killed from outside"),
        (None, "interrupted", "killed from outside"),
    ],
)
def test_a_process_that_is_killed_ends_all_of_them(victim, status, words, home, endless):
    run_id, launcher, ranks = endless
    (launcher if victim is None else ranks[victim]).kill()
    run = wait_for_end(run_id, home, [launcher, *ranks])
    assert run.status == status and words in run.message
