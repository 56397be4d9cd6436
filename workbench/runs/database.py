"""The SQLite file: how it is opened, and its schema as ordered migrations that are only ever added to."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import RunError

DATABASE = "workbench.db"
BUSY_SECONDS = 30.0
"""How long a writer waits for another one; every transaction here takes milliseconds."""


def now() -> str:
    """Return the time as every column and file of the history writes it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _create_runs(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE runs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            run_id TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            status TEXT NOT NULL,
            base TEXT NOT NULL,
            data TEXT NOT NULL,
            created TEXT NOT NULL,
            started TEXT,
            ended TEXT,
            step INTEGER NOT NULL DEFAULT 0,
            total_steps INTEGER NOT NULL DEFAULT 0,
            epoch REAL NOT NULL DEFAULT 0,
            pairs_per_second REAL NOT NULL DEFAULT 0,
            seconds REAL NOT NULL DEFAULT 0,
            device TEXT NOT NULL DEFAULT '',
            message TEXT NOT NULL DEFAULT '',
            metrics TEXT NOT NULL DEFAULT '{}',
            primary_metric TEXT NOT NULL DEFAULT '',
            verdict TEXT,
            result TEXT NOT NULL DEFAULT '{}',
            stop_requested TEXT,
            pid INTEGER,
            pid_started TEXT,
            heartbeat TEXT
        )
        """
    )
    connection.execute("CREATE INDEX runs_status ON runs (status)")


def _add_facts_and_stop_seen(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE runs ADD COLUMN facts TEXT NOT NULL DEFAULT '{}'")
    connection.execute("ALTER TABLE runs ADD COLUMN stop_seen TEXT")
    connection.execute("ALTER TABLE runs ADD COLUMN held INTEGER NOT NULL DEFAULT 0")


def _add_corrections(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE runs ADD COLUMN parent TEXT")
    connection.execute(
        """
        CREATE TABLE corrections (
            run_id TEXT NOT NULL,
            row INTEGER NOT NULL,
            action TEXT NOT NULL,
            value TEXT,
            PRIMARY KEY (run_id, row)
        )
        """
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create_runs, _add_facts_and_stop_seen, _add_corrections)
"""Migration N brings version N-1 to version N. Append only: a released one is never edited."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one transaction that holds the write lock from its first line."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the newest migration applied, 0 for a blank file."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone()
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]) if known else 0


def migrate(connection: sqlite3.Connection, target: int = len(MIGRATIONS)) -> None:
    """Apply the migrations that are missing.

    Args:
        connection: An open database.
        target: Version to reach.

    Raises:
        RunError: If the file was written by a newer workbench.
    """
    version = schema_version(connection)
    if version == target:
        return
    with transaction(connection):
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied TEXT NOT NULL)")
        # Somebody else may have migrated while this one waited for the lock.
        version = schema_version(connection)
        if version > target:
            raise RunError(
                f"The run history was written by a newer workbench (schema {version}, this one knows {target}); "
                "update the workbench, or choose another `--home`.",
                field="home",
            )
        for number in range(version + 1, target + 1):
            MIGRATIONS[number - 1](connection)
            connection.execute("INSERT INTO migrations (version, applied) VALUES (?, ?)", (number, now()))


def connect(home: Path) -> sqlite3.Connection:
    """Open the history of a home, creating and migrating it when needed. The caller closes it.

    Raises:
        RunError: If the file cannot be opened or is not a history.
    """
    path = home / DATABASE
    connection: sqlite3.Connection | None = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise RunError(
            f"The run history `{path}` cannot be opened ({error}); check that the folder may be written to and the disk "
            "is not full, or choose another `--home`.",
            field="home",
        ) from None
    except RunError:
        assert connection is not None
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait for others here, so two first openers have to try again."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextmanager
def open_database(home: Path) -> Iterator[sqlite3.Connection]:
    """Open the history of a home for a few statements and close it again.

    Raises:
        RunError: If the file cannot be opened or is not a history.
    """
    connection = connect(home)
    try:
        yield connection
    finally:
        connection.close()
