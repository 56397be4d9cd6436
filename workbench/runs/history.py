"""The history of runs: looking, stopping, renaming, deleting, and putting right what died without a word."""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

from workbench.errors import InputError, RunError
from workbench.models.kept import mend_model
from workbench.runs import store
from workbench.runs.database import has_history, may_write, open_database, read_database, transaction
from workbench.runs.ending import clear_up, describe_death
from workbench.runs.lock import supervisor_of
from workbench.runs.record import ended_meanwhile
from workbench.runs.run import RUNS_FOLDER, Run, check_run_id, is_run_id, run_folder
from workbench.runs.spawn import ensure_supervisor

KEEP = ("latest", "best", "none")
NAME_LENGTH = 120
_CURSOR = re.compile(r"[1-9][0-9]{0,17}")
_TRASH = ".deleted-"
_SUPERVISOR_SECONDS = 2.0


def reconcile(home: Path) -> None:
    """Compare the table with the processes there are.

    A run whose process is gone is interrupted, and where runs wait and no one works them off, a supervisor is started.
    """
    if not has_history(home) or not may_write(home):
        return
    with open_database(home) as connection:
        # A supervisor knows more of how its run ended than that it is gone; it is given a moment to write it.
        deadline = time.monotonic() + _SUPERVISOR_SECONDS
        while _has_dead_runs(connection) and supervisor_of(home) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
        interrupt_dead_runs(connection, home)
        waiting = store.has_queued(connection, held=False)
    if waiting:
        ensure_supervisor(home)


def interrupt_dead_runs(connection: sqlite3.Connection, home: Path) -> None:
    """Mark the runs whose process is gone, with what the end of their logs says of it."""
    for run_id, process in store.processes(connection):
        if not process.alive:
            folder = run_folder(run_id, home)
            clear_up(folder)
            record = ended_meanwhile(folder)
            if record and store.restore(connection, run_id, record):
                continue
            status, message = describe_death(folder)
            # Guarded by the process: the row may have been handed from the supervisor to the run in the meantime.
            if store.transition(connection, run_id, status, {"message": message}, process=process):
                mend_model(folder)


def _has_dead_runs(connection: sqlite3.Connection) -> bool:
    return any(not process.alive for _, process in store.processes(connection))


def list_runs(home: Path) -> list[Run]:
    """Return all runs, the newest first."""
    reconcile(home)
    if not has_history(home):
        return []
    with read_database(home) as connection:
        return store.fetch_all(connection, home)


def page_of_runs(home: Path, limit: int, before: str = "") -> tuple[list[dict[str, Any]], str | None]:
    """Return some of the runs, the newest first, each with what a list shows.

    Args:
        home: Folder of the workbench.
        limit: Number of runs.
        before: What the page before returned as its cursor; empty for the newest.

    Returns:
        The runs as JSON data, and the cursor of the next page, None after the last.

    Raises:
        InputError: If it is no such cursor.
    """
    if before and not _CURSOR.fullmatch(before):
        raise InputError(f"`before` must be what the page before returned as `next`, got {before[:40]!r}.", field="before")
    reconcile(home)
    if not has_history(home):
        return [], None
    with read_database(home) as connection:
        rows = store.fetch_page(connection, limit + 1, int(before) if before else None)
    page = rows[:limit]
    return [row for _, row in page], str(page[-1][0]) if len(rows) > limit else None


def get_run(run_id: str, home: Path) -> Run:
    """Return one run.

    Raises:
        InputError: If there is none of that id.
    """
    check_run_id(run_id)
    reconcile(home)
    return find_run(run_id, home)


def find_run(run_id: str, home: Path) -> Run:
    """Return one run as its row stands, without looking at processes.

    Raises:
        InputError: If there is none of that id.
    """
    check_run_id(run_id)
    run = None
    if has_history(home):
        with read_database(home) as connection:
            run = store.fetch(connection, run_id, home)
    if run is None:
        raise _unknown(run_id)
    return run


def request_stop(run_id: str, home: Path, keep: str = "latest") -> Run:
    """Ask a run to stop. A queued one is stopped at once; a running one stops at its next step.

    Args:
        run_id: Which run.
        home: Folder of the workbench.
        keep: Which model to keep: "latest", "best" or "none".

    Raises:
        InputError: If there is no such run or no such `keep`.
        RunError: If the run has ended.
    """
    check_run_id(run_id)
    if keep not in KEEP:
        raise InputError(f"`keep` must be one of {', '.join(KEEP)}, got {keep!r}.", field="keep")
    reconcile(home)
    find_run(run_id, home)
    with open_database(home) as connection:
        # One transaction: between looking and writing, a queued run may be started.
        with transaction(connection):
            run = store.fetch(connection, run_id, home)
            if run is None:
                raise _unknown(run_id)
            if run.status == "queued":
                store.transition(connection, run_id, "stopped", {"message": "Stopped before it started.", "stop_requested": keep})
            elif run.status == "running":
                store.transition(connection, run_id, "stopping", {"stop_requested": keep})
            elif run.status == "stopping":
                store.update(connection, run_id, {"stop_requested": keep})
            else:
                raise RunError(f"Run {run_id} has ended ({run.status}); there is nothing to stop.")
        found = store.fetch(connection, run_id, home)
    assert found is not None
    return found


def rename_run(run_id: str, home: Path, name: str) -> Run:
    """Give a run another name.

    Raises:
        InputError: If there is no such run or the name is empty or too long.
    """
    find_run(run_id, home)
    text = clean_name(name)
    if not text:
        raise InputError("A run's `name` cannot be empty.", field="name")
    with open_database(home) as connection:
        store.rename(connection, run_id, text)
    return find_run(run_id, home)


def clean_name(name: str) -> str:
    """Return a name on one line, without control characters.

    Raises:
        InputError: If it is too long.
    """
    text = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", name).split())
    if len(text) > NAME_LENGTH:
        raise InputError(f"`name` may have {NAME_LENGTH} characters, this one has {len(text)}; shorten it.", field="name")
    return text


def delete_run(run_id: str, home: Path) -> None:
    """Remove a run that has ended: its row, its model, everything in its folder.

    Raises:
        InputError: If there is no such run.
        RunError: If it has not ended, another run waits to start from its model, or its files are in use.
    """
    run = get_run(run_id, home)
    if run.active:
        raise RunError(f"Run {run_id} is {run.status}; stop it before deleting it.")
    with open_database(home) as connection:
        users = [other.run_id for other in store.fetch_all(connection, home) if other.active and other.base == run_id]
        if users:
            raise RunError(f"Run {users[0]} starts from the model of run {run_id} and has not ended; wait for it or stop it first.")
        # Moved first: a rename happens as a whole or not at all, so no run is ever listed with half of its files.
        trash = home / RUNS_FOLDER / f"{_TRASH}{run_id}-{secrets.token_hex(4)}"
        try:
            if run.folder.exists():
                run.folder.rename(trash)
        except OSError as error:
            raise RunError(
                f"The files of run {run_id} are in use or protected ({error.strerror or error}); close what uses them."
            ) from None
        store.delete(connection, run_id)
    for leftover in (home / RUNS_FOLDER).glob(f"{_TRASH}*"):
        # What cannot be removed now (a file still open on Windows) goes with the next deletion.
        shutil.rmtree(leftover, ignore_errors=True)


def resolve_model(name: str, home: Path) -> str:
    """Return the model folder of a run id; any other name unchanged.

    Raises:
        InputError: If there is no such run, or it has no model.
    """
    if not is_run_id(name):
        return name
    run = find_run(name, home)
    folder = run.model_folder
    if folder is None:
        wait = "; wait until it has ended" if run.active else ""
        raise InputError(f"Run {name} is {run.status} and has no model{wait}.", field="model")
    return str(folder)


def _unknown(run_id: str) -> InputError:
    return InputError(f"There is no run {run_id}; `runs list` shows the runs there are.", field="run_id")
