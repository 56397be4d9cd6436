import os
import signal
import sqlite3
import subprocess
import sys

import psutil
import pytest

from tests.runs.conftest import notes, wait_for
from tests.runs.fake_supervisor import IMPATIENT, start_fake_run
from workbench.recipe import TrainingConfig
from workbench.runs import get_run, list_runs, read_live, request_stop, store, supervisor
from workbench.runs.database import open_database
from workbench.runs.ending import DISK_FULL_CODE, describe_death, describe_end
from workbench.runs.lock import SupervisorLock, supervisor_of
from workbench.runs.process import child_environment
from workbench.runs.supervisor import supervise, visible_devices, worker_command

ENDLESS = {"max_steps": 10**6}


def process_of(run_id, home):
    with open_database(home) as connection:
        return dict(store.processes(connection)).get(run_id)


def wait_for_training(run_id, home):
    """Wait until the run's own process trains, and return that process."""
    wait_for(lambda: get_run(run_id, home).step, "a first step")
    return process_of(run_id, home)


def test_runs_are_worked_off_in_the_order_they_were_queued(home, add_run):
    ids = [add_run(name) for name in ("a", "b", "c")]
    supervise(home, start_fake_run)
    assert notes(home) == ["start a", "end a", "start b", "end b", "start c", "end c"]
    assert [get_run(run_id, home).status for run_id in ids] == ["completed"] * 3
    assert supervisor_of(home) is None


def test_what_a_run_reports_is_in_its_row_its_points_and_its_log(home, add_run):
    run_id = add_run("a", max_steps=30)
    supervise(home, start_fake_run)
    live = read_live(run_id, home)
    run = live["run"]
    assert (run["step"], run["total_steps"], run["device"], run["message"]) == (30, 30, "cpu", "")
    assert run["metrics"] == {"before": {"spearman_cosine": 0.5}, "after": {"spearman_cosine": None}}
    assert (run["primary_metric"], run["verdict"]["outcome"], run["facts"]["rows"]) == ("spearman_cosine", "not_judged", 4)
    assert run["started"] <= run["ended"] and run["seconds"] == 1.5
    assert [point["step"] for point in live["points"] if point["type"] == "train"] == list(range(1, 31))
    assert live["points"][0]["grad_norm"] is None and live["points"][-1]["type"] == "evaluation"
    assert "Completed." in live["log"] and "the best so far" in live["log"]


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("wrong", "failed", "The loss is no longer a number; lower `learning_rate`."),
        ("defect", "failed", "ended on an unexpected error (ValueError: boom second line)"),
        ("exit 7", "failed", "exit code 7 without saying why"),
    ],
)
def test_a_run_that_fails_says_why_and_the_next_one_starts(name, status, message, home, add_run):
    failing, following = add_run(name), add_run("next")
    supervise(home, start_fake_run)
    run = get_run(failing, home)
    assert run.status == status and message in run.message
    assert get_run(following, home).status == "completed"
    log = read_live(failing, home)["log"]
    assert ("Traceback" in log) == (name == "defect")


def test_a_run_that_cannot_be_started_fails_in_words(home, add_run):
    def refuse(run, home):
        raise OSError(12, "Cannot allocate memory")

    run_id = add_run()
    supervise(home, refuse)
    run = get_run(run_id, home)
    assert run.status == "failed" and "could not be started" in run.message and "Cannot allocate memory" in run.message


def test_two_supervisors_started_at_once_share_no_run(home, add_run, start_supervisor):
    names = [f"run {number}" for number in range(4)]
    ids = [add_run(name) for name in names]
    both = [start_supervisor(), start_supervisor()]
    wait_for(lambda: not any(get_run(run_id, home).active for run_id in ids), "the end of all runs")
    assert [process.wait() for process in both] == [0, 0]
    assert notes(home) == [f"{word} {name}" for name in names for word in ("start", "end")]


def test_a_run_queued_while_the_supervisor_works_is_taken_too(home, add_run, start_supervisor):
    first = add_run("first", **ENDLESS)
    supervisor = start_supervisor()
    wait_for_training(first, home)
    second = add_run("second")
    request_stop(first, home)
    wait_for(lambda: not get_run(second, home).active, "the second run")
    assert supervisor.wait() == 0
    assert get_run(second, home).status == "completed"


def test_a_run_queued_at_the_moment_the_supervisor_leaves_is_taken_too(home, add_run, monkeypatch):
    release, late = SupervisorLock.release, []

    def release_late(lock):
        if not late:
            late.append(add_run("late"))
        release(lock)

    monkeypatch.setattr(SupervisorLock, "release", release_late)
    supervise(home, start_fake_run)
    assert get_run(late[0], home).status == "completed"


@pytest.mark.parametrize("keep", ["latest", "best", "none"])
def test_a_running_run_stops_at_its_next_step(keep, home, add_run, start_supervisor):
    run_id = add_run(**ENDLESS)
    start_supervisor()
    wait_for_training(run_id, home)
    request_stop(run_id, home, keep)
    wait_for(lambda: not get_run(run_id, home).active, "the stop")
    run = get_run(run_id, home)
    assert run.status == "stopped" and run.step > 0
    assert run.message.startswith("Stopped on request; ")
    assert ("no model was kept" in run.message) == (keep == "none")


def test_a_run_that_does_not_listen_is_ended(home, add_run, start_supervisor):
    deaf, following = add_run("deaf", **ENDLESS), add_run("next")
    start_supervisor()
    process = wait_for_training(deaf, home)
    request_stop(deaf, home)
    wait_for(lambda: not get_run(following, home).active, "the next run")
    run = get_run(deaf, home)
    assert run.status == "stopped" and "did not stop when asked to" in run.message
    assert not process.alive


def test_a_signal_to_end_stops_a_run_and_keeps_its_latest_model(home, add_run, start_supervisor):
    run_id = add_run(**ENDLESS)
    start_supervisor()
    psutil.Process(wait_for_training(run_id, home).pid).terminate()
    wait_for(lambda: not get_run(run_id, home).active, "the stop")
    run = get_run(run_id, home)
    assert (run.status, run.stop_requested) == ("stopped", "latest")
    assert "the latest model" in run.message


def test_a_killed_run_is_interrupted_and_the_next_one_starts(home, add_run, start_supervisor):
    killed, following = add_run("killed", **ENDLESS), add_run("next")
    start_supervisor()
    psutil.Process(wait_for_training(killed, home).pid).kill()
    wait_for(lambda: not get_run(following, home).active, "the next run")
    run = get_run(killed, home)
    assert run.status == "interrupted" and "killed" in run.message
    assert get_run(following, home).status == "completed"


def test_a_run_outlives_its_supervisor_and_the_next_supervisor_waits_for_it(home, add_run, start_supervisor):
    first, second = add_run("first", **ENDLESS), add_run("second")
    supervisor = start_supervisor()
    process = wait_for_training(first, home)
    # With its whole process group, as a terminal or a service manager would.
    os.killpg(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    assert get_run(first, home).status == "running"
    step = get_run(first, home).step
    wait_for(lambda: get_run(first, home).step > step, "further steps")
    heir = start_supervisor()
    wait_for(lambda: supervisor_of(home) is not None, "the next supervisor")
    assert get_run(second, home).status == "queued"
    assert process_of(first, home) == process
    request_stop(first, home)
    assert heir.wait() == 0
    assert [get_run(run_id, home).status for run_id in (first, second)] == ["stopped", "completed"]
    assert notes(home) == ["start first", "end first", "start second", "end second"]


def test_a_run_whose_supervisor_died_completes_by_itself(home, add_run, start_supervisor):
    run_id = add_run(max_steps=150)
    supervisor = start_supervisor()
    wait_for_training(run_id, home)
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: not get_run(run_id, home).active, "the end of the run")
    run = get_run(run_id, home)
    assert (run.status, run.step) == ("completed", 150)


def test_a_deaf_run_that_was_left_behind_is_ended_by_the_next_supervisor(home, add_run, start_supervisor):
    run_id = add_run("deaf", **ENDLESS)
    supervisor = start_supervisor()
    wait_for_training(run_id, home)
    supervisor.kill()
    supervisor.wait()
    request_stop(run_id, home)
    supervise(home, start_fake_run, IMPATIENT)
    assert get_run(run_id, home).status == "stopped"


def test_the_supervisor_imports_no_torch(home):
    program = (
        "import sys; from pathlib import Path; from workbench.runs.supervisor import main; main(['--home', sys.argv[1]]);"
        "print(sorted({'torch', 'transformers', 'datasets', 'numpy', 'gradio'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(home)]
    assert subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("code", "forced", "killed_for_memory", "status", "words"),
    [
        (3, False, None, "failed", "exit code 3"),
        (0, False, None, "failed", "exit code 0"),
        (-9, False, True, "interrupted", "memory ran out"),
        (-9, False, False, "interrupted", "killed from outside (SIGKILL)."),
        (-9, False, None, "interrupted", "most often because"),
        (-15, False, None, "interrupted", "ended from outside (SIGTERM)"),
        (-11, False, None, "failed", "crashed (SIGSEGV)"),
        (-99, False, None, "failed", "crashed (signal 99)"),
        (-9, True, True, "stopped", "did not stop when asked to"),
        (DISK_FULL_CODE, False, None, "failed", "The disk is full"),
    ],
)
def test_how_a_process_ended_is_said_in_plain_words(code, forced, killed_for_memory, status, words, tmp_path):
    found, message = describe_end(code, forced, killed_for_memory, tmp_path)
    assert found == status and words in message


@pytest.mark.parametrize(
    ("training", "inherited", "visible"),
    [
        ({}, None, "0"),
        ({"device": "cuda"}, "", "-1"),
        ({"device": "cuda:2"}, None, "2"),
        ({"device": "cuda:1"}, "GPU-a, GPU-b", "GPU-b"),
        ({"device": "cuda:7"}, "0,1", "-1"),
        ({"device": "cpu"}, "0,1", "-1"),
        ({"device": "mps"}, None, "-1"),
        ({"devices": 2}, None, "0,1"),
        ({"devices": 2}, "4,5,6", "4,5"),
        ({"devices": 2, "device": "cpu"}, None, "-1"),
    ],
)
def test_a_run_sees_exactly_its_gpus(training, inherited, visible):
    assert visible_devices(TrainingConfig(**training), inherited) == visible


def test_a_run_that_a_full_disk_ended_is_not_taken_for_killed(tmp_path):
    assert describe_death(tmp_path)[0] == "interrupted"
    (tmp_path / "log.txt").write_text("x" * 100_000 + "\nOSError: [Errno 28] No space left on device\n")
    for status, message in (describe_death(tmp_path), describe_end(-9, False, False, tmp_path)):
        assert status == "failed" and message.startswith("The disk is full")


def full():
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def test_a_supervisor_waits_for_a_history_that_cannot_be_used(home, add_run, monkeypatch, capsys):
    monkeypatch.setattr("workbench.runs.database.RETRY_SECONDS", 0.01)
    failed = set()

    def fail_once(name):
        plain = getattr(store, name)

        def call(*arguments, **options):
            if name not in failed:
                failed.add(name)
                raise full()
            return plain(*arguments, **options)

        monkeypatch.setattr(store, name, call)

    for name in ("claim_oldest", "processes", "stop_state", "transition", "update", "has_queued"):
        fail_once(name)
    run_id, never = add_run("exit 7"), add_run("b")
    supervise(home, start_fake_run)
    assert failed == {"claim_oldest", "processes", "stop_state", "transition", "update", "has_queued"}
    assert get_run(run_id, home).status == "failed" and get_run(never, home).status == "completed"
    said = capsys.readouterr().out
    # A claim is a transition: these two fail in one wait.
    assert said.count("cannot be used now") == said.count("can be used again") == len(failed) - 1


def test_a_run_whose_claim_failed_only_seemingly_is_carried_out(home, add_run, monkeypatch):
    monkeypatch.setattr("workbench.runs.database.RETRY_SECONDS", 0.01)
    claim, failed = store.claim_oldest, []

    def claim_and_fail(*arguments):
        run = claim(*arguments)
        if run is not None and not failed:
            failed.append(run.run_id)
            raise full()
        return run

    monkeypatch.setattr(store, "claim_oldest", claim_and_fail)
    run_id = add_run()
    supervise(home, start_fake_run)
    assert failed == [run_id] and get_run(run_id, home).status == "completed"


def test_several_devices_go_through_the_launcher(home):
    one, two = (worker_command("20260101-000000-aaaa", home, devices) for devices in (1, 2))
    where = ["--home", str(home)]
    assert one == [sys.executable, "-m", "workbench.runs.worker", *where, "20260101-000000-aaaa"]
    assert two == [sys.executable, "-m", "workbench.runs.launcher", *where, "--devices", "2", "20260101-000000-aaaa"]


@pytest.mark.parametrize(
    ("devices", "inherited", "threads"),
    [(1, None, None), (1, "3", None), (2, None, "4"), (3, None, "2"), (16, None, "1"), (2, "3", None)],
)
def test_processes_of_a_run_share_the_cores(devices, inherited, threads, home, add_run, monkeypatch):
    started = {}

    def note(command, folder, output, environment):
        started.update(environment)

    monkeypatch.setattr(supervisor, "start_process", note)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if inherited is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", inherited)
    supervisor.start_worker(get_run(add_run(device="cpu", devices=devices), home), home)
    assert started.get("OMP_NUM_THREADS") == threads, "None leaves the variable as it is"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="torch knows these segments on Linux only")
@pytest.mark.parametrize(("inherited", "wanted"), [(None, "expandable_segments:True"), ("backend:native", "backend:native")])
def test_a_gpus_memory_is_kept_without_holes_unless_told_otherwise(inherited, wanted, home, add_run, monkeypatch):
    started = {}
    monkeypatch.setattr(supervisor, "start_process", lambda command, folder, log, environment: started.update(environment))
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)
    if inherited:
        monkeypatch.setenv("PYTORCH_ALLOC_CONF", inherited)
    supervisor.start_worker(get_run(add_run(), home), home)
    assert started["PYTORCH_ALLOC_CONF"] == wanted


def test_a_held_run_does_not_start_a_supervisor_by_being_looked_at(home, add_run):
    run_id = add_run()
    assert [run.status for run in list_runs(home)] == ["queued"]
    assert not (home / "supervisor.log").exists()
    assert get_run(run_id, home).status == "queued"


def test_threads_of_a_run_give_way_while_they_wait(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    assert child_environment()["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert child_environment()["GOMP_SPINCOUNT"] == "7", "what the user has set stands"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert "GOMP_SPINCOUNT" not in child_environment()
