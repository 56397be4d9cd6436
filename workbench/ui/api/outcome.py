"""How a run came out, over HTTP: the verdict's panel, the table of errors, corrections, and both tables as CSV."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from workbench.ui.context import Context

MOST_ROWS = 200
"""Rows of the table of errors that one answer holds."""


class MarkRequest(BaseModel):
    """Body of a correction: which row, what to do with it (None: nothing any more), and its right value."""

    row: int
    action: str | None = None
    value: str | None = None


def create_outcome_routes(context: Context) -> APIRouter:
    """Return the routes under `/api/runs/RUN_ID`.

    Args:
        context: The server's context.
    """
    router = APIRouter(prefix="/api/runs/{run_id}")
    home = context.home

    @router.get("/outcome")
    def outcome(run_id: str) -> dict[str, Any]:
        from workbench.runs import read_outcome

        return read_outcome(run_id, home)

    @router.get("/errors")
    def errors(run_id: str, sort: str = "tuned", marked: bool = False, offset: int = 0, limit: int = 20) -> dict[str, Any]:
        from workbench.runs import read_errors

        table = read_errors(run_id, home)
        rows = table.ordered(sort, marked)
        start = max(0, offset)
        return {**_facts(table), "rows": rows[start : start + min(MOST_ROWS, max(1, limit))], "found": len(rows)}

    @router.post("/corrections")
    def correct(run_id: str, request: MarkRequest) -> dict[str, Any]:
        from workbench.runs import correct_rows

        table = correct_rows(run_id, home, [(request.row, request.action, request.value)])
        (row,) = (row for row in table.rows if row["row"] == request.row)
        return {**_facts(table), "row": row}

    @router.post("/retrain")
    def retrain_run(run_id: str) -> dict[str, Any]:
        from workbench.runs import retrain

        return retrain(run_id, home).to_dict()

    @router.get("/errors.csv")
    def errors_csv(run_id: str, sort: str = "tuned") -> Response:
        from workbench.runs import read_errors

        return _csv(read_errors(run_id, home).records(sort), f"errors-{run_id}.csv")

    @router.get("/metrics.csv")
    def metrics_csv(run_id: str) -> Response:
        from workbench.runs import get_run, metrics_records

        return _csv(metrics_records(get_run(run_id, home)), f"metrics-{run_id}.csv")

    return router


def _facts(table: Any) -> dict[str, Any]:
    from workbench.recipe import KINDS
    from workbench.runs import ERROR_ORDERS

    marks = [row["mark"]["action"] for row in table.rows if row["mark"]]
    scale = table.dataset.score_scale if table.dataset is not None and table.kind == "scored_pairs" else None
    return {
        "kind": table.kind,
        "texts": list(KINDS[table.kind].texts),
        "label": KINDS[table.kind].label,
        "columns": table.columns,
        "orders": [{"name": name, "words": words} for name, words in ERROR_ORDERS.items()],
        "error_words": table.error_words,
        "choices": table.choices,
        "scale": None if scale is None else list(scale),
        "total": len(table.rows),
        "data_there": table.dataset is not None,
        "marks": {action: marks.count(action) for action in ("fix", "drop", "review")},
    }


def _csv(records: Iterable[Sequence[Any]], name: str) -> Response:
    from workbench.runs import write_table

    stream = io.StringIO(newline="")
    write_table(stream, records)
    # With the mark, spreadsheets read it as UTF-8.
    return Response(
        "\ufeff" + stream.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )
