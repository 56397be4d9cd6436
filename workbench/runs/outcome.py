"""How a run came out, put together from its row and what it wrote when it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.number_text import decimal
from workbench.runs.corrections import linked_runs, measures_only
from workbench.runs.history import get_run, list_runs
from workbench.runs.run import Run

GENERAL_WORDS: Mapping[str, str] = {
    "kept": "general ability kept",
    "lost": "general ability lost",
    "cannot_tell": "general ability cannot be told",
}
DRIFT_WORDS: Mapping[str, str] = {
    "noticeable": "unrelated texts closer to one another",
    "strong": "unrelated texts look similar",
}


def further_words(run: Run) -> list[str]:
    """Return what stands beside "better" or "worse" in a line: was general ability kept, did unrelated texts drift, the threshold."""
    found = run.findings
    general = found["general"] or {}
    words = [GENERAL_WORDS.get(general.get("outcome", ""), ""), DRIFT_WORDS.get(general.get("drift") or "", "")]
    if found["threshold"] is not None:
        words.append(f"threshold {decimal(found['threshold'], 2)}")
    return [part for part in words if part]


def harms(run: Run) -> bool:
    """Return whether a run did damage outside its own data: general ability lost, or unrelated texts made to look similar."""
    general = run.findings["general"] or {}
    return general.get("outcome") == "lost" or general.get("drift") == "strong"


def read_outcome(run_id: str, home: Path) -> dict[str, Any]:
    """Return everything a run's page says on whether the model got better, as JSON data.

    Args:
        run_id: Which run.
        home: Folder of the workbench.

    Returns:
        `run_id`, `active`, `verdict`, `warnings`, `general` (the forgetting check), `calibration` (`threshold`, `distribution`, `reliability`),
        `has_errors`, `measures_only` (whether corrections take no training), `parent` and `children` (linked runs: `run_id`, `name`, `status`, `outcome`; `name` None where deleted).
        What was not measured is None.

    Raises:
        InputError: If there is no such run.
    """
    run = get_run(run_id, home)
    runs = list_runs(home)
    by_id = {other.run_id: other for other in runs}
    evaluations = run.folder / "evaluations"
    return {
        "run_id": run_id,
        "active": run.active,
        "verdict": run.verdict,
        "warnings": run.findings["warnings"],
        "general": _read(evaluations / "general.json"),
        "calibration": _read(evaluations / "calibration.json"),
        "has_errors": (evaluations / "test_rows.jsonl").is_file(),
        "measures_only": measures_only(run),
        "parent": None if run.parent is None else _link(run.parent, by_id.get(run.parent)),
        "children": [_link(child.run_id, child) for child in linked_runs(run_id, runs)],
    }


def _link(run_id: str, run: Run | None) -> dict[str, Any]:
    if run is None:
        return {"run_id": run_id, "name": None, "status": "deleted", "outcome": None}
    return {
        "run_id": run_id,
        "name": run.name,
        "status": run.status,
        "outcome": None if run.verdict is None else run.verdict.get("outcome"),
    }


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
