import sqlite3
import threading

import pytest

from workbench.errors import RunError
from workbench.runs import list_runs, store
from workbench.runs.database import DATABASE, MIGRATIONS, connect, migrate, open_database, schema_version, transaction


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


def test_a_file_that_is_no_history_is_refused_in_words(home):
    home.mkdir()
    (home / DATABASE).write_text("this is no database " * 100)
    with pytest.raises(RunError, match="cannot be opened"):
        connect(home)


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
