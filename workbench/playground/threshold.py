"""From which cosine on two texts count as a match, as far as a run's held-out rows can tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.data import open_parts
from workbench.errors import WorkbenchError
from workbench.evaluation.binary_classification import best_accuracy
from workbench.playground.choices import BASE_PREFIX
from workbench.playground.process import EncoderProcess, Tell
from workbench.playground.vectors import units
from workbench.runs.history import find_run
from workbench.runs.run import Run, is_run_id

MOST_ROWS = 1000
"""Validation rows that are enough for a threshold; more would only take longer."""

_STORED = "cosine_accuracy_threshold"
_MIDDLE = 0.5  # scores are stored from 0 to 1


@dataclass(frozen=True)
class Threshold:
    """Where matches begin.

    Attributes:
        value: The cosine; None where nothing tells it.
        source: What it was found on, or why there is none, in words that go on after "The threshold".
    """

    value: float | None
    source: str


def find_threshold(model: str, encoder: EncoderProcess, home: Path, tell: Tell | None = None) -> Threshold:
    """Return the cosine at which most held-out pairs of a model's run are told apart rightly.

    Taken from what the run measured where that holds one; else found on the run's validation rows, scored pairs counting as a match
    from the middle of their scale on.

    Args:
        model: A run id or `base:RUN_ID`; any other model has no run to learn a threshold from.
        encoder: Encodes the validation rows where that is needed; it remembers them.
        home: Folder of the workbench.
        tell: Is told how far it is.
    """
    run_id = model.removeprefix(BASE_PREFIX)
    if not is_run_id(run_id):
        return Threshold(None, "is not known: it is learned from a run's validation rows, and this model belongs to no run here.")
    try:
        run = find_run(run_id, home)
        stored = _measured(run, "before" if model.startswith(BASE_PREFIX) else "after")
        if stored is not None:
            return Threshold(stored, "is the cosine that tells most of the run's test pairs apart rightly.")
        return _calibrate(run, model, encoder, home, tell)
    except WorkbenchError as error:
        return Threshold(None, f"could not be found: {error.message}")


def _measured(run: Run, moment: str) -> float | None:
    """Return the threshold among a run's metrics, None where there is none."""
    try:
        record: Any = json.loads((run.folder / "evaluations" / f"{moment}.json").read_text(encoding="utf-8"))
        return float(record["metrics"][_STORED])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _calibrate(run: Run, model: str, encoder: EncoderProcess, home: Path, tell: Tell | None) -> Threshold:
    parts = open_parts(run.recipe(), home)
    if parts.kind not in {"scored_pairs", "labelled_pairs"}:
        return Threshold(None, "is not known: the run's data say what belongs together, not from where on two texts match.")
    table = parts.validation
    if table is None or len(table) == 0:
        return Threshold(None, "is not known: the run held no rows out for validation.")
    table = table.select(range(min(len(table), MOST_ROWS)))
    scored = parts.kind == "scored_pairs"
    matches = np.asarray(table["score" if scored else "label"], dtype=np.float64) >= _MIDDLE
    if matches.all() or not matches.any():
        return Threshold(None, "is not known: the run's validation rows are all matches, or none is.")
    first, second = list(table["sentence1"]), list(table["sentence2"])
    vectors = units(encoder.encode(model, [*first, *second], tell))
    cosine = (vectors[: len(first)] * vectors[len(first) :]).sum(axis=1)
    accuracy, value = best_accuracy(cosine, matches.astype(np.int64))
    rule = ", a score above the middle of the scale being a match" if scored else ""
    return Threshold(
        value, f"tells {accuracy:.0%} of the run's {len(first):,} validation pairs apart rightly, more than any other{rule}."
    )
