"""The worst errors of a run: which rows they are, what the user makes of them, and retraining with what was put right."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.data import StoredDataset, correct_dataset, open_dataset, open_splits
from workbench.data.values import parse_number
from workbench.errors import DataError, InputError, RunError
from workbench.evaluation import ERROR_WORDS
from workbench.recipe import KINDS
from workbench.runs import store
from workbench.runs.database import open_database, read_database
from workbench.runs.history import NAME_LENGTH, find_run, get_run
from workbench.runs.run import MEASURE, TRAIN, Run
from workbench.runs.submission import submit
from workbench.runs.test_rows import kind_of_rows, read_test_rows, why_no_test_rows

_FORMULA = frozenset("=+-@\t\r")

ACTIONS = ("fix", "drop", "review")
"""Give the row another score or label; leave it out; keep it, and look at it later."""

ERROR_ORDERS: Mapping[str, str] = {
    "tuned": "largest error of the tuned model",
    "worse": "got worse most",
    "better": "got better most",
    "row": "order of the data set",
}


@dataclass(frozen=True)
class Correction:
    """What the user makes of a test row.

    Attributes:
        row: Its number in the data set, from 1.
        action: One of `ACTIONS`.
        value: The right score (on the scale of the file), label or class; None unless the action is `fix`.
    """

    row: int
    action: str
    value: str | None = None


@dataclass(frozen=True)
class ErrorTable:
    """The test rows of a run, with both models' values.

    Attributes:
        kind: Kind of data set.
        dataset: The data set the rows are in; None where it was deleted.
        rows: As the run wrote them, with `value` (score on the scale of the file, label or class, as text; empty for
            other kinds), `change` (error of the tuned model minus that of the base) and `mark` (a correction as a dict, or None).
        error_words: What the error measures.
        classes: Names of the classes, as the training data number them; empty for other kinds.
    """

    kind: str
    dataset: StoredDataset | None
    rows: Sequence[Mapping[str, Any]]
    error_words: str
    classes: tuple[str, ...] = ()

    @property
    def fixable(self) -> bool:
        """Whether rows have a score or a label that could be wrong."""
        return KINDS[self.kind].label is not None

    @property
    def choices(self) -> list[str]:
        """The labels a row may have; empty for scores, and for rows without any."""
        if self.kind == "labelled_pairs":
            return ["0", "1"]
        return sorted({*self.classes, *(row["value"] for row in self.rows)}) if self.kind == "class_pairs" else []

    @property
    def columns(self) -> list[str]:
        """What a model says of a row, the error last."""
        return [name for name in self.rows[0]["tuned"] if name != "error"] + ["error"] if self.rows else []

    def ordered(self, order: str, marked: bool = False) -> list[Mapping[str, Any]]:
        """Return the rows in one of `ERROR_ORDERS`.

        Args:
            order: Which.
            marked: Whether to return marked rows only.

        Raises:
            InputError: If there is no such order.
        """
        if order not in ERROR_ORDERS:
            raise InputError(f"`sort` must be one of {', '.join(ERROR_ORDERS)}, got {order!r}.", field="sort")
        keys = {
            "tuned": lambda row: (-row["tuned"]["error"], -row["change"], row["row"]),
            "worse": lambda row: (-row["change"], row["row"]),
            "better": lambda row: (row["change"], row["row"]),
            "row": lambda row: (row["row"],),
        }
        return sorted((row for row in self.rows if row["mark"] or not marked), key=keys[order])

    def records(self, order: str = "tuned") -> list[list[Any]]:
        """Return the table as records, the header first.

        The last two columns, `action` and `value`, are the corrections and may be filled in by hand.

        Args:
            order: One of `ERROR_ORDERS`.
        """
        kind = KINDS[self.kind]
        names = [(side, name) for name in self.columns for side in ("base", "tuned")]
        label = [kind.label] if kind.label else []
        records: list[list[Any]] = [
            ["row", *kind.texts, *label, *(f"{side}_{name}" for side, name in names), "change", "action", "value"]
        ]
        for row in self.ordered(order):
            mark = row["mark"] or {"action": "", "value": None}
            texts, value = [row[role] for role in kind.texts], [row["value"]] if label else []
            both = [row[side][name] for side, name in names]
            records.append([row["row"], *texts, *value, *both, row["change"], mark["action"], mark["value"] or ""])
        return records


def read_errors(run_id: str, home: Path) -> ErrorTable:
    """Return the test rows of a run that has ended.

    Raises:
        InputError: If there is no such run.
        RunError: If it left no test rows.
    """
    run = find_run(run_id, home)
    recipe = run.recipe()
    try:
        rows = read_test_rows(run.folder)
    except OSError:
        raise RunError(f"Run {run_id} has no table of errors: {why_no_test_rows(run)}.") from None
    dataset = _dataset(recipe.test_data or recipe.data, home)
    # Classes are numbered as in the training data.
    classes = (_dataset(recipe.data, home) or dataset).classes if dataset else ()
    marks = read_corrections(run_id, home)
    kind = kind_of_rows(rows) if dataset is None else dataset.kind
    for row in rows:
        mark = marks.get(row["row"])
        row["value"] = _value_words(row, kind, dataset, classes)
        for side in ("base", "tuned"):
            if "predicted" in row[side]:
                row[side]["predicted"] = _class_name(row[side]["predicted"], classes)
        row["change"] = round(row["tuned"]["error"] - row["base"]["error"], 6)
        row["mark"] = None if mark is None else {"action": mark.action, "value": mark.value}
    return ErrorTable(kind, dataset, rows, ERROR_WORDS[kind], classes if kind == "class_pairs" else ())


def _dataset(ref: str, home: Path) -> StoredDataset | None:
    try:
        return open_dataset(ref, home)
    except DataError:
        return None


def _value_words(row: Mapping[str, Any], kind: str, dataset: StoredDataset | None, classes: Sequence[str]) -> str:
    if "score" in row:
        low, high = (dataset and dataset.score_scale) or (0.0, 1.0)
        return f"{round(low + row['score'] * (high - low), 4):g}"
    if "label" in row:
        return _class_name(row["label"], classes) if kind == "class_pairs" else str(row["label"])
    return ""


def _class_name(number: int, classes: Sequence[str]) -> str:
    return classes[number] if 0 <= number < len(classes) else "none"


def read_corrections(run_id: str, home: Path) -> dict[int, Correction]:
    """Return the marks of a run's test rows, by row number."""
    with read_database(home) as connection:
        return {row: Correction(row, action, value) for row, action, value in store.fetch_corrections(connection, run_id)}


def correct_rows(run_id: str, home: Path, corrections: Iterable[tuple[int, str | None, str | None]]) -> ErrorTable:
    """Mark test rows. Either all of the marks are set, or, where one is wrong, none.

    Args:
        run_id: The run whose rows they are.
        home: Folder of the workbench.
        corrections: Row number, action (one of `ACTIONS`; None takes the mark away) and, for `fix`, the right value.

    Returns:
        The table with its new marks.

    Raises:
        InputError: If there is no such run or row, or an action or value cannot be used.
        RunError: If the run left no test rows.
    """
    table = read_errors(run_id, home)
    known = {row["row"]: row for row in table.rows}
    marks: dict[int, tuple[str, str | None] | None] = {}
    for row, action, value in corrections:
        if row not in known:
            raise InputError(
                f"Row {row} is not in the test part of run {run_id}; `runs errors {run_id}` lists its rows.", field="row"
            )
        if action is not None and action not in ACTIONS:
            raise InputError(f"Row {row}: `action` must be one of {', '.join(ACTIONS)}, got {action!r}.", field="action")
        marks[row] = None if action is None else (action, _checked(table, row, value) if action == "fix" else None)
    with open_database(home) as connection:
        store.set_corrections(connection, run_id, marks)
    return read_errors(run_id, home)


def _checked(table: ErrorTable, row: int, value: str | None) -> str:
    """Return the right value of a row as it is kept.

    Raises:
        InputError: If the row cannot have such a value.
    """
    text = (value or "").strip()
    if not table.fixable:
        raise InputError(f"Row {row} has no score or label to fix; it can be dropped or kept for review.", field="action")
    if table.kind == "scored_pairs":
        low, high = (table.dataset and table.dataset.score_scale) or (0.0, 1.0)
        number = parse_number(text)
        if number is None or not low <= number <= high:
            raise InputError(f"Row {row}: the score must be a number from {low:g} to {high:g}, got {text!r}.", field="value")
        return f"{number:g}"
    allowed = table.choices
    if text not in allowed:
        raise InputError(f"Row {row}: the label must be one of {', '.join(allowed)}, got {text!r}.", field="value")
    return text


def measures_only(run: Run) -> bool:
    """Return whether the corrections of a run take no training: its model is there, and its verdict came from the test part.

    Cross-validation trains on test rows too, so a verdict that came from it takes its trainings again.
    """
    return run.model_folder is not None and (run.verdict or {}).get("method") != "cross_validation"


def retrain(run_id: str, home: Path, start: bool = True) -> Run:
    """Store a corrected version of the data and queue a run on it that is otherwise the same, linked to this one.

    Corrections concern test rows. The split is kept, so both models are measured again on the same test part as corrected, and
    learning rows stay learning rows: the model would be the same, and is trained again only where `measures_only` says no.

    Args:
        run_id: The run whose rows were corrected.
        home: Folder of the workbench.
        start: Whether to start a supervisor.

    Raises:
        InputError: If there is no such run, nothing to put right, or the data are gone.
        RunError: If the run left no test rows.
    """
    run = get_run(run_id, home)
    table = read_errors(run_id, home)
    marks = read_corrections(run_id, home)
    values = {mark.row - 1: _stored_value(table, mark) for mark in marks.values() if mark.action == "fix"}
    dropped = [mark.row - 1 for mark in marks.values() if mark.action == "drop"]
    if not values and not dropped:
        raise InputError(f"No row of run {run_id} is marked to be fixed or dropped; mark some first.", field="run_id")
    if len(dropped) == len(table.rows):
        raise InputError(
            "Every test row is marked to be dropped, which would leave nothing to measure on; keep some.", field="run_id"
        )
    recipe = run.recipe()
    if recipe.test_data is not None:
        corrected = correct_dataset(recipe.test_data, home, values, dropped, None)
        recipe = recipe.replace(test_data=corrected.ref)
    else:
        split = open_splits(recipe, home).split
        assert split is not None, "a test part without a file of its own was split off"
        config = recipe.training
        fractions = (0.0 if recipe.validation_data else config.validation_fraction, config.test_fraction)
        corrected = correct_dataset(recipe.data, home, values, dropped, (split, fractions, config.seed))
        recipe = recipe.replace(data=corrected.ref)
    kind = MEASURE if measures_only(run) else TRAIN
    name = f"{(run.name or run_id)[: NAME_LENGTH - 12]}, corrected"
    return submit(recipe.replace(name=name.replace(", corrected, corrected", ", corrected")), home, start, parent=run_id, kind=kind)


def _stored_value(table: ErrorTable, mark: Correction) -> Any:
    assert mark.value is not None
    if table.kind == "scored_pairs":
        low, high = (table.dataset and table.dataset.score_scale) or (0.0, 1.0)
        number = parse_number(mark.value)
        assert number is not None and math.isfinite(number)
        return (number - low) / (high - low)
    return int(mark.value) if table.kind == "labelled_pairs" else mark.value


def linked_runs(run_id: str, runs: Iterable[Run]) -> list[Run]:
    """Return the runs that were retrained with the corrections of a run, the oldest first."""
    return sorted((run for run in runs if run.parent == run_id), key=lambda run: run.run_id)


# --- tables as CSV -------------------------------------------------------------------------------------------------------


def metrics_records(run: Run) -> list[list[Any]]:
    """Return the metrics of a run as CSV rows: metric, before, after, difference, and the interval where there is one."""
    before, after = run.metrics.get("before") or {}, run.metrics.get("after") or {}
    verdict = run.verdict or {}
    records: list[list[Any]] = [["metric", "before", "after", "difference", "interval_low", "interval_high"]]
    for name in dict.fromkeys([*before, *after]):
        interval = (verdict.get("interval") if name == verdict.get("metric") else None) or ["", ""]
        first, second = before.get(name), after.get(name)
        difference = "" if first is None or second is None else second - first
        records.append([name, "" if first is None else first, "" if second is None else second, difference, *interval])
    return records


def write_table(stream: Any, records: Iterable[Sequence[Any]]) -> None:
    """Write records as CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    csv.writer(stream).writerows([[_plain(cell) for cell in record] for record in records])


def _plain(cell: Any) -> Any:
    formula = isinstance(cell, str) and cell[:1] in _FORMULA and parse_number(cell) is None
    return f"'{cell}" if formula else cell


def read_fixes(path: Path) -> list[tuple[int, str | None, str | None]]:
    """Read corrections from a CSV file with the columns `row`, `action` and `value`; others are ignored.

    Raises:
        InputError: If the file cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The fixes `{path}` cannot be read: {error}.", field="fixes") from None
    if not lines or not {"row", "action"} <= set(lines[0]):
        raise InputError(
            f"The fixes `{path}` need the columns row, action and value, as `runs errors --csv` writes them.", field="fixes"
        )
    fixes = []
    for number, line in enumerate(lines, start=2):
        action = (line["action"] or "").strip()
        if not action:
            continue
        row = (line["row"] or "").strip()
        if not row.isdecimal():
            raise InputError(f"Line {number} of `{path}`: `row` must be a whole number, got {row!r}.", field="fixes")
        value = line.get("value") or ""
        fixes.append((int(row), action, value[1:] if value[:1] == "'" and value[1:2] in _FORMULA else value))
    return fixes
