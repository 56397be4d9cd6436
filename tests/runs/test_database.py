import sqlite3
import threading

import pytest

from workbench.errors import RunError
from workbench.runs import get_run, list_runs, rename_run, store
from workbench.runs.database import DATABASE, MIGRATIONS, connect, migrate, open_database, schema_version, transaction
from workbench.runs.process import ProcessId, this_process


def blank(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def columns(connection):
    return {row["name"] for row in connection.execute("PRAGMA table_info(runs)")}


def test_a_blank_file_gets_every_migration_once_and_in_order(tmp_path):
    connection = blank(tmp_path / "a.db")
    assert schema_version(connection) == 0
    migrate(connection)
    migrate(connection)
    recorded = [row["version"] for row in connection.execute("SELECT version FROM migrations ORDER BY version")]
    assert recorded == list(range(1, len(MIGRATIONS) + 1))
    connection.close()


def test_a_history_of_version_1_keeps_its_runs(home):
    home.mkdir()
    connection = blank(home / DATABASE)
    migrate(connection, target=1)
    assert schema_version(connection) == 1
    assert "held" not in columns(connection)
    connection.execute(
        "INSERT INTO runs (run_id, kind, name, status, base, data, created) VALUES "
        "('20260101-000000-aaaa', 'train', 'old', 'completed', 'mini', 'abc/v1', '2026-01-01T00:00:00.000+00:00')"
    )
    connection.close()
    (run,) = list_runs(home)
    assert (run.name, run.status, run.facts, run.stop_requested) == ("old", "completed", {}, None)


def test_both_ways_lead_to_the_same_table(tmp_path):
    new, old = blank(tmp_path / "new.db"), blank(tmp_path / "old.db")
    migrate(new)
    migrate(old, target=1)
    migrate(old)
    assert columns(new) == columns(old)
    new.close()
    old.close()


def test_many_first_openers_at_once_make_one_history(home):
    barrier = threading.Barrier(8)
    failures = []

    def open_it():
        barrier.wait()
        try:
            connect(home).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with open_database(home) as connection:
        assert schema_version(connection) == len(MIGRATIONS)
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_history_of_a_newer_workbench_is_refused_in_words(home):
    with open_database(home) as connection:
        connection.execute("INSERT INTO migrations (version, applied) VALUES (99, 'later')")
    with pytest.raises(RunError, match="newer workbench"):
        connect(home)


def without_memory(run):
    """What is known of a run but when someone last looked."""
    return {name: value for name, value in run.to_dict().items() if name != "heartbeat"}


@pytest.mark.parametrize("damage", ["gone", "no database", "torn"])
def test_a_lost_history_is_rebuilt_from_the_run_folders(damage, home, add_run, capsys):
    ended, waiting = add_run("ended"), add_run("waiting")
    with open_database(home) as connection:
        store.claim_oldest(connection, home, this_process())
        store.transition(connection, ended, "completed", {"metrics": {"before": None, "after": {"a": 0.5}}, "step": 7})
        store.set_corrections(connection, ended, {3: ("fix", "0.5"), 4: ("drop", None)})
    rename_run(ended, home, "another name")
    before = [without_memory(run) for run in list_runs(home)]
    path = home / DATABASE
    for suffix in ("-wal", "-shm"):
        path.with_name(DATABASE + suffix).unlink(missing_ok=True)
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "no database":
        path.write_text("this is no database " * 100)
    else:
        path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    with open_database(home) as connection:
        assert store.fetch_corrections(connection, ended) == [(3, "fix", "0.5"), (4, "drop", None)]
    assert [without_memory(run) for run in list_runs(home)] == before
    assert get_run(waiting, home).status == "queued"
    said = capsys.readouterr().err
    assert "folders of 2 runs" in said
    aside = [file for file in home.glob(f"{DATABASE}.damaged-*") if not file.name.endswith(("-wal", "-shm"))]
    assert len(aside) == (damage != "gone") and all(file.name in said for file in aside)


def test_a_run_without_a_record_is_told_from_its_files(home, add_run, capsys):
    run_id = add_run("old")
    folder = home / "runs" / run_id
    (folder / "run.json").unlink()
    (folder / "metrics.jsonl").write_text('{"type": "train", "step": 4, "loss": 1}\n{"type": "tr')
    (home / DATABASE).unlink()
    connect(home).close()
    run = get_run(run_id, home)
    assert (run.status, run.name, run.base, run.step) == ("interrupted", "old", "scratch", 4)
    assert "put together from the run's files" in run.message


def test_a_run_that_ended_while_its_history_was_lost_keeps_its_end(home, add_run):
    run_id = add_run()
    old = connect(home)
    store.claim_oldest(old, home, ProcessId(2**22 - 3, "long ago"))
    (home / DATABASE).rename(home / "elsewhere.db")
    for suffix in ("-wal", "-shm"):
        (home / (DATABASE + suffix)).unlink(missing_ok=True)
    with open_database(home) as connection:
        assert store.fetch(connection, run_id, home).status == "running"
    store.transition(old, run_id, "completed", {"step": 9})
    old.close()
    run = get_run(run_id, home)
    assert (run.status, run.step, run.message) == ("completed", 9, "")


def test_a_transaction_that_fails_leaves_nothing(home, add_run):
    run_id = add_run()
    with open_database(home) as connection:
        with pytest.raises(ZeroDivisionError), transaction(connection):
            store.transition(connection, run_id, "stopped")
            raise ZeroDivisionError
        assert store.fetch(connection, run_id, home).status == "queued"


def test_looking_at_a_home_that_is_not_there_makes_none(home):
    assert list_runs(home) == []
    assert not home.exists()
