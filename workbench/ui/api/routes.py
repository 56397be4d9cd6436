"""What the live panel and scripts read over HTTP. Nothing here that changes state answers to GET."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

import workbench
from workbench.ui.context import Context

MAXIMUM_POINTS = 3000
"""More points than pixels only make a chart slow."""

RUNS_A_PAGE = 100
MOST_RUNS = 500


class StopRequest(BaseModel):
    """Body of a stop request."""

    keep: Literal["best", "latest", "none"] = "best"


def create_routes(context: Context) -> APIRouter:
    """Return the routes under `/api`.

    Args:
        context: The server's context.
    """
    router = APIRouter(prefix="/api")
    home = context.home

    @router.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "version": workbench.__version__, "boot_id": context.boot_id}

    @router.get("/runs")
    def runs(limit: int = RUNS_A_PAGE, before: str = "") -> dict[str, Any]:
        from workbench.runs import page_of_runs

        found, following = page_of_runs(home, min(MOST_RUNS, max(1, limit)), before)
        return {"runs": found, "next": following}

    @router.get("/runs/series")
    def series(ids: str = "", max: int = MAXIMUM_POINTS) -> dict[str, Any]:
        from workbench.runs import read_series

        wanted = [run_id for run_id in ids.split(",") if run_id]
        return read_series(wanted, home, maximum=min(MAXIMUM_POINTS, _at_least_two(max)))

    @router.get("/runs/{run_id}")
    def run(run_id: str) -> dict[str, Any]:
        from workbench.runs import get_run

        return get_run(run_id, home).to_dict()

    @router.get("/runs/{run_id}/live")
    def live(run_id: str, after: str = "") -> dict[str, Any]:
        from workbench.runs import read_live

        return {**read_live(run_id, home, after), "boot_id": context.boot_id}

    @router.get("/runs/{run_id}/watch")
    def watch(run_id: str, after: str = "") -> dict[str, Any]:
        from workbench.runs import read_watch

        return read_watch(run_id, home, after)

    @router.post("/runs/{run_id}/stop")
    def stop(run_id: str, request: StopRequest) -> dict[str, Any]:
        from workbench.runs import request_stop

        return request_stop(run_id, home, keep=request.keep).to_dict()

    return router


def _at_least_two(count: int) -> int:
    return count if count > 2 else 2
