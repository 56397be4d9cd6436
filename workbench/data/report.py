"""What is told about a file: the issues found in it, and the report they are part of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

LISTED_ROWS = 20
"""Row numbers named for an issue; its count says how many there are."""

PREVIEW_ROWS = 20


@dataclass(frozen=True)
class Issue:
    """One thing noticed about a file.

    Attributes:
        kind: A stable name, e.g. `missing_text`.
        severity: `error` makes the file unusable; `warning` is worth a look; `note` says how something was read.
        count: How many rows, lines or columns it concerns.
        rows: Data rows counted from 1, at most `LISTED_ROWS`; for JSON Lines the line numbers.
        message: A sentence for whoever made the file.
    """

    kind: str
    severity: Severity
    count: int
    rows: tuple[int, ...]
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {**asdict(self), "rows": list(self.rows)}


class Issues:
    """Issues in the order in which they were found."""

    def __init__(self) -> None:
        self._found: list[Issue] = []

    def __iter__(self) -> Iterator[Issue]:
        return iter(self._found)

    def add(self, kind: str, severity: Severity, message: str, rows: Iterable[int] = (), count: int | None = None) -> None:
        """Add one.

        Args:
            kind: A stable name.
            severity: How bad it is.
            message: A sentence for whoever made the file.
            rows: All rows concerned; the first ones are kept.
            count: How many there are, where that is not the number of rows.
        """
        numbers = [int(row) for row in rows]
        self._found.append(
            Issue(kind, severity, len(numbers) if count is None else count, tuple(numbers[:LISTED_ROWS]), message)
        )

    @property
    def errors(self) -> list[Issue]:
        """The ones that make the file unusable."""
        return [issue for issue in self._found if issue.severity == "error"]


@dataclass(frozen=True)
class DataReport:
    """What a file holds, how it was read, and what is wrong with it.

    Attributes:
        name: The file's name.
        rows: Data rows read, those that cannot be used among them.
        columns: Column names, cleaned and made distinct.
        roles: Role -> column, as given or guessed.
        kind: The kind of data set, None where it is none.
        encoding: How bytes were read as text.
        delimiter: What separates columns; None for JSON.
        score_scale: Lowest and highest possible score, None without scores or where it cannot be told.
        classes: Names of the classes of `class_pairs`, in the order of their numbers.
        issues: What was noticed.
        preview: The first rows, as text by column name.
        usable: Whether it can be trained on.
        summary: All of this in a sentence.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    roles: Mapping[str, str]
    kind: str | None
    encoding: str
    delimiter: str | None
    score_scale: tuple[float, float] | None
    classes: tuple[str, ...]
    issues: tuple[Issue, ...]
    preview: tuple[Mapping[str, str], ...]
    usable: bool
    summary: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "name": self.name,
            "rows": self.rows,
            "columns": list(self.columns),
            "roles": dict(self.roles),
            "kind": self.kind,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "score_scale": None if self.score_scale is None else list(self.score_scale),
            "classes": list(self.classes),
            "issues": [issue.to_dict() for issue in self.issues],
            "preview": [dict(row) for row in self.preview],
            "usable": self.usable,
            "summary": self.summary,
        }


def count_of(number: int, noun: str = "row") -> str:
    """Return `1 row`, `2,999 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def name_list(names: Iterable[str], limit: int = 8) -> str:
    """Return names in backticks, those beyond the limit counted."""
    quoted = [f"`{name}`" for name in names]
    shown = ", ".join(quoted[:limit])
    return shown if len(quoted) <= limit else f"{shown} and {len(quoted) - limit} more"


def shorten(text: str, length: int = 40) -> str:
    """Return a text cut to fit into a message."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"
