import re
import sqlite3
import subprocess
import sys

import psutil
import pytest

from tests.runs.conftest import wait_for
from workbench.errors import InputError, RunError
from workbench.runs import delete_run, get_run, is_run_id, list_runs, rename_run, request_stop, resolve_model, store
from workbench.runs.database import DATABASE
from workbench.runs.history import interrupt_dead_runs
from workbench.runs.lock import SupervisorLock
from workbench.runs.process import ProcessId, identify, this_process
from workbench.runs.run import create_run_id, run_folder
from workbench.runs.states import STATUSES

UNKNOWN = "20260101-000000-aaaa"
NO_IDS = ["", "..", "../../etc", "20260101-000000-AAAA", "20260101-000000-aaaa/..", UNKNOWN + "\n", "x" * 200]


def put(connection, run_id, status):
    connection.execute("UPDATE runs SET status = ? WHERE run_id = ?", (status, run_id))


def test_run_ids_are_short_sortable_and_safe_in_addresses():
    ids = [create_run_id() for _ in range(50)]
    assert all(is_run_id(run_id) and re.fullmatch(r"[0-9a-z-]{20}", run_id) for run_id in ids)
    assert [run_id[:15] for run_id in ids] == sorted(run_id[:15] for run_id in ids)
    assert len(set(ids)) > 40


@pytest.mark.parametrize("text", NO_IDS)
def test_what_is_no_run_id_never_becomes_a_path(text, home):
    for call in (
        lambda: run_folder(text, home),
        lambda: get_run(text, home),
        lambda: request_stop(text, home),
        lambda: delete_run(text, home),
        lambda: rename_run(text, home, "name"),
    ):
        with pytest.raises(InputError, match="is no run id"):
            call()


def test_an_unknown_run_is_named(home, add_run):
    add_run()
    for call in (get_run, request_stop, delete_run, lambda run_id, home: rename_run(run_id, home, "a"), resolve_model):
        with pytest.raises(InputError, match=f"There is no run {UNKNOWN}"):
            call(UNKNOWN, home)


def test_the_newest_run_is_listed_first(home, add_run):
    ids = [add_run() for _ in range(3)]
    assert [run.run_id for run in list_runs(home)] == ids[::-1]


def test_a_queued_run_stops_at_once(home, add_run):
    run = request_stop(add_run(), home)
    assert (run.status, run.message) == ("stopped", "Stopped before it started.")
    assert run.ended is not None and run.started is None


def test_a_running_run_is_asked_to_stop_and_may_be_asked_otherwise(home, add_run, connection):
    run_id = add_run()
    store.claim_oldest(connection, home, this_process())
    assert request_stop(run_id, home, keep="best").status == "stopping"
    run = request_stop(run_id, home, keep="none")
    assert (run.status, run.stop_requested) == ("stopping", "none")


@pytest.mark.parametrize("status", [status for status in STATUSES if status not in {"queued", "running", "stopping"}])
def test_a_run_that_has_ended_cannot_be_stopped(status, home, add_run, connection):
    run_id = add_run()
    put(connection, run_id, status)
    with pytest.raises(RunError, match=f"has ended \\({status}\\)"):
        request_stop(run_id, home)


def test_there_are_three_things_to_keep(home, add_run):
    with pytest.raises(InputError, match="latest, best, none"):
        request_stop(add_run(), home, keep="all")


@pytest.mark.parametrize("status", ["queued", "running", "stopping"])
def test_an_active_run_is_not_deleted(status, home, add_run, connection):
    run_id = add_run()
    if status != "queued":
        store.claim_oldest(connection, home, this_process())
        put(connection, run_id, status)
    with pytest.raises(RunError, match=f"is {status}; stop it"):
        delete_run(run_id, home)
    assert get_run(run_id, home).recipe().name == "run"


def test_deleting_takes_row_and_files_and_nothing_else(home, add_run):
    gone, stays = add_run(), add_run()
    request_stop(gone, home)
    delete_run(gone, home)
    assert [run.run_id for run in list_runs(home)] == [stays]
    assert [folder.name for folder in (home / "runs").iterdir()] == [stays]


def test_the_base_of_a_waiting_run_is_not_deleted(home, add_run, connection):
    base = add_run()
    put(connection, base, "completed")
    user = add_run(base=base)
    with pytest.raises(RunError, match=f"Run {user} starts from the model of run {base}"):
        delete_run(base, home)
    request_stop(user, home)
    delete_run(base, home)


def test_renaming_keeps_names_on_one_line(home, add_run):
    run_id = add_run()
    assert rename_run(run_id, home, "  a\n\tb\x00 ").name == "a b"
    for name, reason in (("  ", "cannot be empty"), ("x" * 121, "121")):
        with pytest.raises(InputError, match=reason):
            rename_run(run_id, home, name)
    assert get_run(run_id, home).name == "a b"


def test_a_run_whose_process_is_gone_is_interrupted(home, add_run, connection):
    run_id, waiting = add_run(), add_run()
    store.claim_oldest(connection, home, ProcessId(2**22 - 3, "long ago"))
    run = get_run(run_id, home)
    assert (run.status, run.message) == (
        "interrupted",
        "The training process exited without reporting a status (killed or power cut).",
    )
    assert get_run(waiting, home).status == "queued"


def test_a_pid_that_was_given_to_another_process_is_no_sign_of_life(home, add_run, connection):
    run_id = add_run()
    store.claim_oldest(connection, home, ProcessId(this_process().pid, "another start"))
    assert get_run(run_id, home).status == "interrupted"


def test_a_supervisor_has_the_first_word_on_how_its_run_ended(home, add_run, connection, monkeypatch):
    looked = []

    def alive(process):
        looked.append(process)
        if len(looked) == 3:  # the supervisor has collected its child
            store.transition(connection, run_id, "failed", {"message": "The training process crashed (SIGSEGV)."})
        return process == this_process()

    run_id = add_run()
    store.claim_oldest(connection, home, ProcessId(2**22 - 3, "just died"))
    lock = SupervisorLock(home)
    assert lock.acquire()
    monkeypatch.setattr(ProcessId, "alive", property(alive))
    assert get_run(run_id, home).message == "The training process crashed (SIGSEGV)."
    lock.release()


def test_a_supervisor_that_says_nothing_is_not_waited_for_long(home, add_run, connection, monkeypatch):
    monkeypatch.setattr("workbench.runs.history._SUPERVISOR_SECONDS", 0.1)
    run_id = add_run()
    store.claim_oldest(connection, home, ProcessId(2**22 - 3, "long ago"))
    lock = SupervisorLock(home)
    assert lock.acquire()
    assert get_run(run_id, home).status == "interrupted"
    lock.release()


def test_a_run_that_has_just_got_its_own_process_is_not_taken_for_dead(home, add_run, connection, monkeypatch):
    def alive(process):
        mine = this_process()
        store.update(connection, run_id, {"pid": mine.pid, "pid_started": mine.started})
        return False

    run_id = add_run()
    store.claim_oldest(connection, home, ProcessId(2**22 - 3, "the supervisor"))
    monkeypatch.setattr(ProcessId, "alive", property(alive))
    interrupt_dead_runs(connection, home)
    assert store.fetch(connection, run_id, home).status == "running"


def test_a_running_run_without_a_process_is_interrupted(home, add_run, connection):
    run_id = add_run()
    put(connection, run_id, "running")
    assert get_run(run_id, home).status == "interrupted"


def test_a_process_that_ended_and_waits_to_be_collected_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identify(child.pid)
    assert identity.alive
    child.stdin.close()
    process = psutil.Process(child.pid)
    wait_for(lambda: not psutil.POSIX or process.status() == psutil.STATUS_ZOMBIE, "the end of the child")
    assert not identity.alive
    child.wait()


def test_a_run_is_not_started_while_it_is_being_stopped(home, add_run, monkeypatch):
    fetch, refusals = store.fetch, []

    def fetch_while_a_supervisor_claims(connection, run_id, home):
        run = fetch(connection, run_id, home)
        if connection.in_transaction:
            other = sqlite3.connect(home / DATABASE, timeout=0, isolation_level=None)
            other.row_factory = sqlite3.Row
            try:
                store.claim_oldest(other, home, this_process())
            except sqlite3.OperationalError as error:
                refusals.append(str(error))
            other.close()
        return run

    run_id = add_run()
    monkeypatch.setattr(store, "fetch", fetch_while_a_supervisor_claims)
    assert request_stop(run_id, home).status == "stopped"
    assert refusals == ["database is locked"]


def test_a_run_whose_process_lives_is_left_alone(home, add_run, connection):
    run_id = add_run()
    store.claim_oldest(connection, home, this_process())
    assert get_run(run_id, home).status == "running"


def test_a_process_has_one_identity():
    assert this_process() == this_process()
    assert this_process().alive
    assert identify(2**22 - 3) is None


def test_a_run_id_stands_for_its_model(home, add_run, connection):
    run_id = add_run()
    assert resolve_model("sentence-transformers/all-MiniLM-L6-v2", home) == "sentence-transformers/all-MiniLM-L6-v2"
    with pytest.raises(InputError, match="is queued and has no model; wait"):
        resolve_model(run_id, home)
    put(connection, run_id, "failed")
    with pytest.raises(InputError, match="is failed and has no model"):
        resolve_model(run_id, home)
    model = run_folder(run_id, home) / "model"
    model.mkdir()
    (model / "modules.json").write_text("[]")
    assert resolve_model(run_id, home) == str(model)


def test_a_run_tells_no_machine_paths(home, add_run):
    run = get_run(add_run(), home)
    assert str(home) not in str(run.to_dict())
    assert run.to_dict()["active"] is True
