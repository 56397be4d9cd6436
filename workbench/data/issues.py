"""Something about a file that its owner should know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

ROWS_SHOWN = 20


@dataclass(frozen=True)
class Issue:
    """One kind of finding.

    Attributes:
        kind: Short name, stable for scripts.
        severity: `error` makes the file unusable, `warning` changes what is trained on, `note` only informs.
        count: How many rows or columns it concerns.
        rows: The first of these rows, counted from 1 below the header.
        message: One or two sentences in the words of the file's owner.
    """

    kind: str
    severity: Severity
    count: int
    rows: tuple[int, ...]
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"kind": self.kind, "severity": self.severity, "count": self.count, "rows": list(self.rows), "message": self.message}


def issue(kind: str, severity: Severity, message: str, rows: Sequence[int] = (), count: int | None = None) -> Issue:
    """Return an issue; a message that speaks of rows is followed by the first of their numbers."""
    shown = tuple(int(row) for row in rows[:ROWS_SHOWN])
    if shown:
        numbers = ", ".join(str(row) for row in shown[:5])
        message = f"{message} ({'row' if len(rows) == 1 else 'rows'} {numbers}{', …' if len(rows) > 5 else ''})"
    return Issue(kind, severity, len(rows) if count is None else count, shown, message)


def short(text: str, length: int = 60) -> str:
    """Return a name or a cell as a sentence can carry it: on one line, and cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


def quoted(text: str) -> str:
    """Return a name or a cell in quotation marks, on one line, and cut where it is long."""
    return repr(short(text))


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names one after the other, and how many more there are."""
    every = [short(name) for name in names]
    more = len(every) - most
    return ", ".join(every[:most]) + (f", and {more:,} more" if more > 0 else "")


def rows_word(count: int) -> str:
    """Return "1 row" or "1,234 rows"."""
    return f"{count:,} row" + ("" if count == 1 else "s")
