"""The SQLite file: how it is opened, and its schema as ordered migrations that are only ever added to."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from workbench.errors import RunError, WorkbenchError
from workbench.runs.lock import exclusive
from workbench.runs.record import rebuild
from workbench.runs.run import RUNS_FOLDER
from workbench.settings import REMEDY, check_readable, prepare_home

DATABASE = "workbench.db"
BUSY_SECONDS = 30.0
"""How long a writer waits for another one; every transaction here takes milliseconds."""

RETRY_SECONDS = 1.0
_PASSING_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PASSING_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})

Result = TypeVar("Result")


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


class UnavailableError(RunError):
    """The history cannot be used for now; later it may."""


def is_passing(error: BaseException) -> bool:
    """Return whether an error of the history goes away by itself, or once there is space: a full disk, a lock, a failed read."""
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _PASSING_CODES
    return isinstance(error, UnavailableError) or (isinstance(error, OSError) and error.errno in _PASSING_ERRNOS)


def patiently(action: Callable[[], Result], say: Callable[[str], None]) -> Result:
    """Return what an action returns, repeated while the history cannot be used.

    Args:
        action: Looks or changes one thing, and may be repeated.
        say: Is told once when it begins to wait and once when it goes on.
    """
    waited = False
    while True:
        try:
            result = action()
        except (sqlite3.Error, UnavailableError, OSError) as error:
            if not is_passing(error):
                raise
            if not waited:
                say(f"The run history cannot be used now ({error}); waiting until it can, which may need some free space.")
            waited = True
            time.sleep(RETRY_SECONDS)
            continue
        if waited:
            say("The run history can be used again.")
        return result


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one transaction that holds the write lock from its first line."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have ended the transaction already; a commit that failed has not.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the newest migration applied, 0 for a blank file."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone()
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]) if known else 0


def migrate(connection: sqlite3.Connection, target: int = len(MIGRATIONS), home: Path | None = None) -> None:
    """Apply the migrations that are missing.

    Args:
        connection: An open database.
        target: Version to reach.
        home: Whose run folders fill a blank history; None leaves it blank.

    Raises:
        RunError: If the file was written by a newer workbench.
    """
    version = schema_version(connection)
    if version == target:
        return
    with transaction(connection):
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied TEXT NOT NULL)")
        # Someone else may have migrated while this one waited for the lock.
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
        # In the transaction that made the tables, so that of many first openers one fills them, and all find them filled.
        count = rebuild(connection, home) if version == 0 and home is not None else 0
    if count:
        _warn(f"The run history was gone and has been put together again from the folders of {count} runs.")


def connect(home: Path) -> sqlite3.Connection:
    """Open the history of a home, creating and migrating it when needed. The caller closes it.

    Raises:
        RunError: If the file cannot be opened or is not a history.
    """
    try:
        return _connect(home)
    except sqlite3.DatabaseError as error:  # reached only by a damaged file
        _put_aside(home, error)
        return _connect(home)


def _connect(home: Path) -> sqlite3.Connection:
    path = home / DATABASE
    connection: sqlite3.Connection | None = None
    try:
        prepare_home(home)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection, home=home)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        if is_damage(error):
            raise
        kind = UnavailableError if is_passing(error) else RunError
        raise kind(
            f"The run history `{path}` cannot be opened ({error}); check that the folder may be written to and the disk "
            "is not full, or choose another `--home`.",
            field="home",
        ) from None
    except WorkbenchError:
        if connection is not None:
            connection.close()
        raise
    return connection


def is_damage(error: BaseException) -> bool:
    """Return whether an error says that the file is no history, or not a whole one."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    return isinstance(error, sqlite3.Error) and code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _put_aside(home: Path, error: sqlite3.Error) -> None:
    """Rename a damaged history, which is never deleted; the next opener makes another one from the run folders."""
    path = home / DATABASE
    with exclusive(home / "workbench.repair"):
        try:
            blank = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
            try:
                if blank.execute("PRAGMA quick_check").fetchone()[0] == "ok":
                    return  # someone else was faster
            finally:
                blank.close()
        except sqlite3.Error:
            pass
        aside = f"{DATABASE}.damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        try:
            for suffix in ("-wal", "-shm", ""):
                source = home / (DATABASE + suffix)
                if source.exists():
                    source.rename(home / (aside + suffix))
        except OSError as refusal:
            raise RunError(
                f"The run history `{path}` is damaged ({error}) and cannot be put aside ({refusal.strerror or refusal}); "
                "end what uses it, then rename the file.",
                field="home",
            ) from None
        _warn(f"The run history was damaged ({error}); it is kept as `{aside}`.")


def _warn(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


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


def has_history(home: Path) -> bool:
    """Return whether a home has a history to look into, or had one, of which the run folders are left.

    Raises:
        InputError: If this user may not look into the home.
    """
    return check_readable(home) and ((home / DATABASE).exists() or (may_write(home) and (home / RUNS_FOLDER).is_dir()))


def may_write(home: Path) -> bool:
    """Return whether this user may change the history of a home."""
    path = home / DATABASE
    return os.access(home, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))


@contextmanager
def read_database(home: Path) -> Iterator[sqlite3.Connection]:
    """Open the history of a home for looking; of a home that may not be written to, as a copy.

    SQLite needs to write beside a file in order to read it while others may be writing.

    Raises:
        RunError: If the file cannot be opened or is not a history.
    """
    if may_write(home):
        with open_database(home) as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        try:
            for suffix in ("", "-wal"):
                if (home / (DATABASE + suffix)).exists():
                    shutil.copyfile(home / (DATABASE + suffix), Path(folder) / (DATABASE + suffix))
        except OSError as error:
            raise RunError(
                f"The run history `{home / DATABASE}` may not be read ({error.strerror or error}); {REMEDY}.", field="home"
            ) from None
        with open_database(Path(folder)) as connection:
            yield connection


@contextmanager
def open_database(home: Path) -> Iterator[sqlite3.Connection]:
    """Open the history of a home for a few statements and close it again.

    Raises:
        RunError: If the file cannot be opened or is not a history.
    """
    connection = connect(home)
    try:
        yield connection
    except sqlite3.Error as error:
        if is_damage(error):
            connection.close()
            _put_aside(home, error)
            raise UnavailableError("The run history was damaged and is put together again from the run folders.") from None
        if not is_passing(error):
            raise
        raise UnavailableError(
            f"The run history `{home / DATABASE}` cannot be used now ({error}); free some space, or try again later.", field="home"
        ) from None
    finally:
        connection.close()
