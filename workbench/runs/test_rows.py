"""The test part of a run as it was measured, read from what the run wrote down; the data set need not be there any more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import RunError
from workbench.recipe import KINDS
from workbench.runs.run import Run

TEST_ROWS = Path("evaluations") / "test_rows.jsonl"


@dataclass(frozen=True)
class TestPart:
    """What an evaluator is built from.

    Attributes:
        kind: Kind of data set.
        columns: The text columns in the order of the kind's roles.
        labels: Scores (0 to 1), labels or numbers of classes; None for kinds without any.
    """

    kind: str
    columns: tuple[list[str], ...]
    labels: list[Any] | None


def read_test_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the test rows of a run, each with its number, its texts and value, and what `base` and `tuned` make of it.

    Args:
        folder: The run's folder.

    Raises:
        OSError: If there are none.
    """
    # A text may hold other characters that end a line to Python, but not to JSON Lines.
    lines = (folder / TEST_ROWS).read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("tuned"), dict) or not isinstance(row.get("row"), int):
            raise RunError(
                f"Line {number} of the test rows of run {folder.name} is not whole (`{TEST_ROWS}`: the disk was full, or the power was "
                "cut); train again to see its errors."
            )
        rows.append(row)
    return rows


def read_test_part(folder: Path) -> TestPart:
    """Return the test part of a run that left its rows.

    Args:
        folder: The run's folder.

    Raises:
        OSError: If it left none.
    """
    rows = read_test_rows(folder)
    kind = KINDS[kind_of_rows(rows)]
    label = kind.label
    return TestPart(
        kind.name,
        tuple([row[role] for row in rows] for role in kind.texts),
        None if label is None else [row[label] for row in rows],
    )


def kind_of_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the kind of data set that test rows are of, by what they hold."""
    row = rows[0] if rows else {}
    # The probe names a class for pairs with a class, which is all that tells them from pairs with label 0 or 1.
    classes = "predicted" in row.get("tuned", {})
    for kind in KINDS.values():
        if set(kind.roles) == set(row) - {"row", "base", "tuned"} and (kind.name == "class_pairs") == classes:
            return kind.name
    return "pairs"


def why_no_test_rows(run: Run) -> str:
    """Return why a run left no test rows, as the end of a sentence."""
    if run.active:
        return "it has not ended"
    if run.verdict is None:
        return f"it is {run.status}"
    return "it had no test part, kept no model, or was made before test rows were kept"
