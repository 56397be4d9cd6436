import pytest

from workbench.runs import store
from workbench.runs.database import open_database
from workbench.runs.process import ProcessId, this_process
from workbench.runs.states import ACTIVE, STATUSES, TRANSITIONS, may_become

LEGAL = {
    ("queued", "running"),
    ("queued", "stopped"),
    ("running", "stopping"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "interrupted"),
    ("stopping", "completed"),
    ("stopping", "stopped"),
    ("stopping", "failed"),
    ("stopping", "interrupted"),
}


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_only_what_the_table_allows_happens(before, after, add_run, home, connection):
    run_id = add_run()
    connection.execute("UPDATE runs SET status = ? WHERE run_id = ?", (before, run_id))
    moved = store.transition(connection, run_id, after, {"message": "moved"})
    run = store.fetch(connection, run_id, home)
    assert moved == ((before, after) in LEGAL)
    assert run.status == (after if moved else before)
    assert run.message == ("moved" if moved else "")
    assert (run.ended is not None) == (moved and after not in ACTIVE)


def test_the_table_names_every_status_and_ends_somewhere():
    assert set(TRANSITIONS) == set(STATUSES)
    assert {"queued", "running", "stopping"} == ACTIVE
    assert may_become("queued") == ()


def test_of_two_who_end_a_run_one_succeeds(add_run, home, connection):
    run_id = add_run()
    store.claim_oldest(connection, home, this_process())
    with open_database(home) as other:
        assert store.transition(other, run_id, "completed")
        assert not store.transition(connection, run_id, "interrupted", {"message": "too late"})
    assert store.fetch(connection, run_id, home).message == ""


def test_a_transition_for_one_process_leaves_a_run_of_another_alone(add_run, home, connection):
    run_id = add_run()
    store.claim_oldest(connection, home, this_process())
    assert not store.transition(connection, run_id, "interrupted", process=ProcessId(this_process().pid, "another start"))
    assert store.transition(connection, run_id, "interrupted", process=this_process())


def test_an_unknown_run_is_not_moved(connection):
    assert not store.transition(connection, "20260101-000000-aaaa", "running")


def test_the_oldest_is_claimed_and_only_while_nothing_runs(add_run, home, connection):
    first, second = add_run("first"), add_run("second")
    assert store.claim_oldest(connection, home, this_process()).run_id == first
    assert store.claim_oldest(connection, home, this_process()) is None
    store.transition(connection, first, "completed")
    assert store.claim_oldest(connection, home, this_process()).run_id == second
    store.transition(connection, second, "completed")
    assert store.claim_oldest(connection, home, this_process()) is None


def test_progress_of_a_run_that_has_ended_is_refused(add_run, home, connection):
    run_id = add_run()
    assert not store.update(connection, run_id, {"step": 3})
    store.claim_oldest(connection, home, this_process())
    assert store.update(connection, run_id, {"step": 3})
    store.transition(connection, run_id, "completed")
    assert not store.update(connection, run_id, {"step": 4})
    assert store.fetch(connection, run_id, home).step == 3
