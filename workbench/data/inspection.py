"""What a file holds, and whether it can be trained on, before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.data.cleaning import Cleaned, clean
from workbench.data.inference import INFERENCE_ROLES, make_triplets
from workbench.data.issues import Issue, issue, listed, quoted
from workbench.data.roles import Guess, settle_roles
from workbench.data.tables import RawTable, read_table
from workbench.data.values import Scale, check_scale
from workbench.errors import DataError
from workbench.recipe.kinds import KINDS

PREVIEW_ROWS = 20

KIND_WORDS: Mapping[str, str] = {
    "scored_pairs": "scored pairs",
    "labelled_pairs": "labelled pairs (match or not)",
    "class_pairs": "pairs with a class",
    "pairs": "pairs that belong together",
    "triplets": "triplets",
}


@dataclass(frozen=True)
class DataReport:
    """What a file holds.

    Attributes:
        name: File name.
        rows: Rows in the file, blank ones apart; triplets, where those were made of them.
        rows_usable: Rows that can be trained on.
        columns: Column names as they are used here.
        roles: Role -> column.
        kind: Kind of data set, None where it is none.
        encoding: As Python names it.
        delimiter: Between cells, or `json`.
        score_scale: Lowest and highest possible score; None for other kinds, or where it must be asked.
        classes: Names of the classes.
        issues: Findings, the serious ones first.
        preview: The first rows as text, by column.
        usable: Whether it can be stored and trained on.
        summary: One plain sentence.
    """

    name: str
    rows: int
    rows_usable: int
    columns: tuple[str, ...]
    roles: Mapping[str, str]
    kind: str | None
    encoding: str
    delimiter: str
    score_scale: Scale | None
    classes: tuple[str, ...]
    issues: tuple[Issue, ...]
    preview: tuple[dict[str, str], ...]
    usable: bool
    summary: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; the preview is for the page only."""
        return {
            "name": self.name,
            "rows": self.rows,
            "rows_usable": self.rows_usable,
            "columns": list(self.columns),
            "roles": dict(self.roles),
            "kind": self.kind,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "score_scale": None if self.score_scale is None else list(self.score_scale),
            "classes": list(self.classes),
            "issues": [item.to_dict() for item in self.issues],
            "usable": self.usable,
            "summary": self.summary,
        }


def inspect_file(
    path: str | Path, columns: Mapping[str, str] | None = None, score_scale: Scale | None = None, full: bool = False
) -> DataReport:
    """Return the report of a file.

    Args:
        path: A CSV, TSV or JSON Lines file.
        columns: Role -> column; None to guess.
        score_scale: Lowest and highest possible score; None to see it in the file.
        full: Whether the costly checks look at every row.

    Raises:
        DataError: If there is no such file. Bad content gives an unusable report instead.
    """
    return examine(Path(path), columns, score_scale, full)[0]


def examine(
    path: Path, columns: Mapping[str, str] | None, score_scale: Scale | None, full: bool = False
) -> tuple[DataReport, Cleaned | None]:
    """Return the report and the rows; no rows where the file is not even a data set.

    Raises:
        ConfigError: If the score scale is none.
        DataError: If there is no such file.
    """
    check_scale(score_scale)
    try:
        table = read_table(path)
    except DataError as error:
        if not path.is_file():
            raise
        return _unreadable(path, error), None
    blank = DataReport(
        path.name,
        table.rows,
        0,
        tuple(table.columns),
        {},
        None,
        table.encoding,
        table.delimiter,
        None,
        (),
        (),
        _preview(table),
        usable=False,
        summary="",
    )
    if table.rows == 0:
        return _with(
            blank, [*table.issues, issue("no_rows", "error", "The file has a header but no rows below it.", count=0)]
        ), None
    try:
        guess = settle_roles(table, columns)
    except DataError as error:
        guess = Guess({}, None, error.message)
    if guess.kind is None:
        return _with(blank, [*table.issues, issue("roles", "error", guess.reason, count=len(table.columns))]), None
    ignored = _ignored(table, guess)
    rows, meaning = table, guess
    if tuple(guess.roles) == INFERENCE_ROLES:
        try:
            rows, note = make_triplets(table, guess.roles)
        except DataError as error:
            return _with(blank, [*table.issues, issue("roles", "error", error.message, count=table.rows)]), None
        meaning = Guess({role: role for role in KINDS["triplets"].roles}, "triplets")
        ignored.append(note)
    cleaned = clean(rows, meaning, score_scale, full)
    report = replace(
        blank,
        rows=rows.rows,
        rows_usable=cleaned.rows,
        roles=dict(guess.roles),
        kind=guess.kind,
        score_scale=cleaned.score_scale,
        classes=cleaned.classes,
    )
    return _with(report, [*table.issues, *ignored, *cleaned.issues]), cleaned


def _with(report: DataReport, findings: list[Issue]) -> DataReport:
    order = {"error": 0, "warning": 1, "note": 2}
    issues = tuple(sorted(findings, key=lambda item: order[item.severity]))
    usable = report.kind is not None and not any(item.severity == "error" for item in issues)
    report = replace(report, issues=issues, usable=usable)
    return replace(report, summary=_summary(report))


def _unreadable(path: Path, error: DataError) -> DataReport:
    found = issue("unreadable", "error", error.message, count=1)
    return DataReport(path.name, 0, 0, (), {}, None, "", "", None, (), (found,), (), usable=False, summary=error.message)


def _summary(report: DataReport) -> str:
    errors = [item for item in report.issues if item.severity == "error"]
    if report.kind is None:
        return errors[0].message
    text = f"{report.rows_usable:,} {KIND_WORDS[report.kind]}"
    if report.score_scale is not None:
        low, high = report.score_scale
        text += f", scores {low:g} to {high:g}" + ("" if report.score_scale == (0.0, 1.0) else " (brought to 0 to 1)")
    if report.kind == "class_pairs":
        text += f" ({listed(report.classes, 6)})"
    left_out = report.rows - report.rows_usable
    if left_out:
        text += f"; {left_out:,} of {report.rows:,} rows left out"
    return f"{text}." if report.usable else f"{text}. Not usable yet: {errors[0].message}"


def _ignored(table: RawTable, guess: Guess) -> list[Issue]:
    others = [name for name in table.columns if name not in guess.roles.values()]
    if not others:
        return []
    used = ", ".join(f"{quoted(column)} as {role}" for role, column in guess.roles.items())
    text = f"Used: {used}. Not used: {listed(map(quoted, others))}."
    return [issue("ignored_columns", "note", text, count=len(others))]


def _preview(table: RawTable) -> tuple[dict[str, str], ...]:
    shown = range(min(table.rows, PREVIEW_ROWS))
    return tuple({name: cells[row] or "" for name, cells in table.columns.items()} for row in shown)
