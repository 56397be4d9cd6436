"""A run's row beside its files, as `run.json`: from it and from what else is there, a history that is gone is put together again."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.runs.run import METRICS_FILE, MODEL_FOLDER, RECIPE_FILE, RECORD_FILE, RUNS_FOLDER, is_run_id
from workbench.runs.states import ACTIVE, STATUSES

_NOT_KEPT = frozenset({"seq"})


def keep_record(connection: sqlite3.Connection, run_id: str) -> None:
    """Write a run's row and its marks beside its files; a folder that is gone or a disk that is full is no error."""
    row = connection.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    place = next((entry[2] for entry in connection.execute("PRAGMA database_list") if entry[1] == "main"), "")
    if row is None or not place:
        return
    values = {name: row[name] for name in row.keys() if name not in _NOT_KEPT}  # noqa: SIM118 - a row iterates over values
    marks = connection.execute("SELECT row, action, value FROM corrections WHERE run_id = ? ORDER BY row", (run_id,))
    text = json.dumps({**values, "corrections": [list(mark) for mark in marks]}, ensure_ascii=False, indent=2)
    folder = Path(place).parent / RUNS_FOLDER / run_id
    name = None
    try:
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f".{RECORD_FILE}-", encoding="utf-8", delete=False) as file:
            name = file.name
            file.write(text + "\n")
        os.replace(name, folder / RECORD_FILE)  # noqa: PTH105 - the atomic rename is the point
    except OSError:
        if name is not None:
            with suppress(OSError):
                Path(name).unlink(missing_ok=True)


def read_record(folder: Path) -> dict[str, Any]:
    """Return what `run.json` says, empty where there is none that can be used."""
    record = _read_json(folder / RECORD_FILE)
    return record if record.get("status") in STATUSES and record.get("run_id") == folder.name else {}


def rebuild(connection: sqlite3.Connection, home: Path) -> int:
    """Fill an empty table of runs from the run folders; return how many there were."""
    try:
        folders = sorted(folder for folder in (home / RUNS_FOLDER).iterdir() if is_run_id(folder.name) and folder.is_dir())
    except OSError:
        return 0
    rows = []
    for folder in folders:
        record = read_record(folder)
        rows.append((folder, record.pop("corrections", None) or [], record or _guess(folder)))
    columns = {row["name"] for row in connection.execute("PRAGMA table_info(runs)")}
    # In the order in which they were queued: the ids of one second sort by chance.
    for folder, marks, row in sorted(rows, key=lambda entry: str(entry[2].get("created"))):
        values = {name: value for name, value in row.items() if name in columns - _NOT_KEPT}
        marked = ", ".join("?" for _ in values)
        connection.execute(f"INSERT OR IGNORE INTO runs ({', '.join(values)}) VALUES ({marked})", tuple(values.values()))
        connection.executemany(
            "INSERT OR IGNORE INTO corrections (run_id, row, action, value) VALUES (?, ?, ?, ?)",
            [(folder.name, *mark) for mark in marks if isinstance(mark, list) and len(mark) == 3],
        )
    return len(folders)


def ended_meanwhile(folder: Path) -> dict[str, Any]:
    """Return the record of a run that has written there, and not in the history, that it ended; else nothing.

    So it is where the history was lost while the run went on: its process knew only the old file.
    """
    record = read_record(folder)
    return {} if record.get("status") in {None, *ACTIVE} else record


def _guess(folder: Path) -> dict[str, Any]:
    """Return what can be told of a run without its record, from what its process left."""
    recipe, verdict = _read_json(folder / RECIPE_FILE), _read_json(folder / "evaluations" / "verdict.json")
    day, clock = folder.name.split("-")[:2]
    created = f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}.000+00:00"
    step = 0
    with suppress(OSError):
        for line in (folder / METRICS_FILE).read_bytes().splitlines():
            with suppress(ValueError):
                point = json.loads(line)
                step = max(step, int(point["step"])) if isinstance(point, dict) and isinstance(point.get("step"), int) else step
    sides = {side: _read_json(folder / "evaluations" / f"{side}.json").get("metrics") for side in ("before", "after")}
    done = bool(verdict) and (folder / MODEL_FOLDER / "modules.json").is_file()
    return {
        "run_id": folder.name,
        "kind": "train",
        "name": str(recipe.get("name") or folder.name),
        "status": "completed" if done else "interrupted",
        "base": str(recipe.get("base") or ""),
        "data": str(recipe.get("data") or ""),
        "created": created,
        "step": step,
        "message": "The history was lost; this was put together from the run's files.",
        "metrics": json.dumps(sides if verdict else {}),
        "primary_metric": str(verdict.get("metric") or ""),
        "verdict": json.dumps(verdict) if verdict else None,
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
