"""The table of runs: every statement that reads or changes a row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.json_text import dump_json
from workbench.runs.database import now, transaction
from workbench.runs.process import ProcessId
from workbench.runs.record import keep_record
from workbench.runs.run import JSON_COLUMNS, Run
from workbench.runs.states import ACTIVE, WITH_PROCESS, Status, may_become

LIST_COLUMNS = (
    *("run_id", "name", "kind", "status", "created", "started", "ended", "step", "total_steps", "epoch", "seconds", "base", "data"),
    *("message", "metrics", "primary_metric", "verdict", "parent"),
)
"""What lists of runs are made of; of the verdict only its outcome."""


def insert(
    connection: sqlite3.Connection,
    run_id: str,
    name: str,
    base: str,
    data: str,
    kind: str = "train",
    held: bool = False,
    parent: str | None = None,
) -> None:
    """Add a queued run.

    Args:
        connection: The open history.
        run_id: Its id.
        name: What the user calls it.
        base: Base encoder as the recipe names it.
        data: Stored data set.
        kind: What it does.
        held: Whether it waits until someone starts the supervisor, instead of starting one at the next look.
        parent: The run whose corrections it was retrained with, or None.
    """
    connection.execute(
        "INSERT INTO runs (run_id, kind, name, status, base, data, created, held, parent) "
        "VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
        (run_id, kind, name, base, data, now(), int(held), parent),
    )
    keep_record(connection, run_id)


def fetch(connection: sqlite3.Connection, run_id: str, home: Path) -> Run | None:
    """Return one run, None where there is none of that id."""
    row = connection.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else Run.from_row(row, home)


def fetch_all(connection: sqlite3.Connection, home: Path) -> list[Run]:
    """Return all runs, the newest first."""
    return [Run.from_row(row, home) for row in connection.execute("SELECT * FROM runs ORDER BY seq DESC")]


def fetch_names(connection: sqlite3.Connection) -> set[str]:
    """Return what the runs are called."""
    return {name for (name,) in connection.execute("SELECT name FROM runs")}


def fetch_page(connection: sqlite3.Connection, limit: int, before: int | None) -> list[tuple[int, dict[str, Any]]]:
    """Return the newest runs with what a list shows of them, without reading the rest.

    Args:
        connection: The open history.
        limit: Number of runs.
        before: Place in the history that all of them come before; None for none.

    Returns:
        For each its place in the history, and its columns as JSON data.
    """
    where = "" if before is None else " WHERE seq < ?"
    rows = connection.execute(
        f"SELECT seq, {', '.join(LIST_COLUMNS)} FROM runs{where} ORDER BY seq DESC LIMIT ?",
        (limit,) if before is None else (before, limit),
    )
    found = []
    for row in rows:
        values = {name: row[name] for name in LIST_COLUMNS}
        for name in JSON_COLUMNS.intersection(values):
            values[name] = None if values[name] is None else json.loads(values[name])
        verdict = values.pop("verdict")
        outcome = None if verdict is None else verdict.get("outcome")
        found.append((row["seq"], {**values, "outcome": outcome, "active": values["status"] in ACTIVE}))
    return found


def transition(
    connection: sqlite3.Connection,
    run_id: str,
    status: Status,
    values: Mapping[str, Any] | None = None,
    process: ProcessId | None = None,
) -> bool:
    """Move a run to another status, if the table of transitions allows it from where the run is now.

    The one statement compares and sets, so of several who try at once one succeeds.

    Args:
        connection: The open history.
        run_id: Which run.
        status: Where to.
        values: Columns to set along with it.
        process: Only if the run's row still names this process.

    Returns:
        Whether the run was moved.
    """
    before = may_become(status)
    columns: dict[str, Any] = {"status": status, **(values or {})}
    if status not in ACTIVE:
        columns.setdefault("ended", now())
    conditions = ["run_id = ?", f"status IN ({_marks(before)})"]
    parameters = [*_encode(columns).values(), run_id, *before]
    if process is not None:
        conditions += ["coalesce(pid, 0) = ?", "coalesce(pid_started, '') = ?"]
        parameters += [process.pid, process.started]
    assignments = ", ".join(f"{name} = ?" for name in columns)
    changed = connection.execute(f"UPDATE runs SET {assignments} WHERE {' AND '.join(conditions)}", parameters)
    if changed.rowcount == 1:
        keep_record(connection, run_id)
    return changed.rowcount == 1


def rename(connection: sqlite3.Connection, run_id: str, name: str) -> None:
    """Give a run another name."""
    connection.execute("UPDATE runs SET name = ? WHERE run_id = ?", (name, run_id))
    keep_record(connection, run_id)


def update(connection: sqlite3.Connection, run_id: str, values: Mapping[str, Any]) -> bool:
    """Set columns of a run while it has a process; never its status.

    Returns:
        Whether it has one.
    """
    assert "status" not in values
    allowed = tuple(WITH_PROCESS)
    assignments = ", ".join(f"{name} = ?" for name in values)
    changed = connection.execute(
        f"UPDATE runs SET {assignments} WHERE run_id = ? AND status IN ({_marks(allowed)})",
        (*_encode(values).values(), run_id, *allowed),
    )
    if changed.rowcount == 1 and "pid" in values:
        keep_record(connection, run_id)  # whoever rebuilds the history must know whether the run still goes on
    return changed.rowcount == 1


def restore(connection: sqlite3.Connection, run_id: str, record: Mapping[str, Any]) -> bool:
    """Set a run that should have a process to what its record says, whose columns are those of the table.

    Returns:
        Whether the run was still thought to have one.
    """
    columns = {row["name"] for row in connection.execute("PRAGMA table_info(runs)")} - {"seq", "run_id"}
    values = {name: value for name, value in record.items() if name in columns}
    assignments = ", ".join(f"{name} = ?" for name in values)
    allowed = tuple(WITH_PROCESS)
    changed = connection.execute(
        f"UPDATE runs SET {assignments} WHERE run_id = ? AND status IN ({_marks(allowed)})", (*values.values(), run_id, *allowed)
    )
    return changed.rowcount == 1


def claim_oldest(connection: sqlite3.Connection, home: Path, supervisor: ProcessId) -> Run | None:
    """Take the oldest queued run: it becomes running in the same transaction in which it was found.

    Args:
        connection: The open history.
        home: Folder of the workbench.
        supervisor: Whom the row names until the run's own process is known.

    Returns:
        The run, or None where nothing is queued or a run still has a process.
    """
    with transaction(connection):
        busy = connection.execute(f"SELECT 1 FROM runs WHERE status IN ({_marks(WITH_PROCESS)})", tuple(WITH_PROCESS)).fetchone()
        row = connection.execute("SELECT run_id FROM runs WHERE status = 'queued' ORDER BY seq LIMIT 1").fetchone()
        if busy or row is None:
            return None
        values = {"started": now(), "pid": supervisor.pid, "pid_started": supervisor.started, "heartbeat": now()}
        if not transition(connection, row["run_id"], "running", values):
            return None
        return fetch(connection, row["run_id"], home)


def processes(connection: sqlite3.Connection) -> list[tuple[str, ProcessId]]:
    """Return the runs that should have a process, with that process, the oldest first."""
    rows = connection.execute(
        f"SELECT run_id, pid, pid_started FROM runs WHERE status IN ({_marks(WITH_PROCESS)}) ORDER BY seq", tuple(WITH_PROCESS)
    )
    return [(row["run_id"], ProcessId(row["pid"] or 0, row["pid_started"] or "")) for row in rows]


def has_queued(connection: sqlite3.Connection, held: bool = True) -> bool:
    """Return whether a run is queued; without `held`, one that wants to be started by itself."""
    clause = "" if held else " AND held = 0"
    return connection.execute(f"SELECT 1 FROM runs WHERE status = 'queued'{clause}").fetchone() is not None


def stop_state(connection: sqlite3.Connection, run_id: str) -> tuple[str | None, bool]:
    """Return what to keep where a stop was asked for, and whether the run has noticed."""
    row = connection.execute("SELECT stop_requested, stop_seen FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return (None, False) if row is None else (row["stop_requested"], row["stop_seen"] is not None)


def delete(connection: sqlite3.Connection, run_id: str) -> bool:
    """Remove the row of a run that has ended.

    Returns:
        Whether there was one.
    """
    changed = connection.execute(f"DELETE FROM runs WHERE run_id = ? AND status NOT IN ({_marks(ACTIVE)})", (run_id, *ACTIVE))
    if changed.rowcount == 1:
        connection.execute("DELETE FROM corrections WHERE run_id = ?", (run_id,))
    return changed.rowcount == 1


def set_corrections(connection: sqlite3.Connection, run_id: str, marks: Mapping[int, tuple[str, str | None] | None]) -> None:
    """Write marks of test rows: row -> action and value, None to take a mark away. All or nothing."""
    with transaction(connection):
        for row, mark in marks.items():
            if mark is None:
                connection.execute("DELETE FROM corrections WHERE run_id = ? AND row = ?", (run_id, row))
            else:
                connection.execute(
                    "INSERT INTO corrections (run_id, row, action, value) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (run_id, row) DO UPDATE SET action = excluded.action, value = excluded.value",
                    (run_id, row, *mark),
                )
    keep_record(connection, run_id)


def fetch_corrections(connection: sqlite3.Connection, run_id: str) -> list[tuple[int, str, str | None]]:
    """Return the marks of a run's test rows as (row, action, value)."""
    rows = connection.execute("SELECT row, action, value FROM corrections WHERE run_id = ? ORDER BY row", (run_id,))
    return [(row["row"], row["action"], row["value"]) for row in rows]


def _marks(values: Iterable[str]) -> str:
    return ", ".join("?" for _ in values)


def _encode(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as_json(value) if name in JSON_COLUMNS else value for name, value in values.items()}


def _as_json(value: Any) -> str | None:
    return None if value is None else dump_json(value)
