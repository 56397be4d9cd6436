"""A run as everybody outside this room sees it."""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from workbench.errors import InputError, RunError
from workbench.models.kept import MODEL_FOLDER as MODEL_FOLDER
from workbench.models.kept import kept_model
from workbench.recipe import Recipe
from workbench.runs.states import ACTIVE, Status

RUNS_FOLDER = "runs"
RECIPE_FILE = "recipe.json"
RECORD_FILE = "run.json"
LOG_FILE = "log.txt"
METRICS_FILE = "metrics.jsonl"
WATCH_FILE = "evaluations/watch.jsonl"
BASE_FOLDER = "base"

TRAIN = "train"
MEASURE = "measure"
"""Kinds of runs: to train, or only to measure again the model that another run has trained."""

_RUN_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9]{4}")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without l, o, 0 and 1, which are misread when copied by hand


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of a run id."""
    return _RUN_ID.fullmatch(text) is not None


def check_run_id(text: str) -> str:
    """Return the run id unchanged; nothing that is not one ever reaches a path.

    Raises:
        InputError: If it has not the form of one.
    """
    if not isinstance(text, str) or not is_run_id(text):
        raise InputError(f"{text!r} is no run id; one looks like 20261124-153012-k3f9 (`runs list` shows them).", field="run_id")
    return text


def create_run_id() -> str:
    """Return a new run id: the time in UTC, then four random letters; ids sort by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{''.join(secrets.choice(_ALPHABET) for _ in range(4))}"


def run_folder(run_id: str, home: Path) -> Path:
    """Return the folder of a run, whether or not it is there.

    Raises:
        InputError: If it is no run id.
    """
    return home / RUNS_FOLDER / check_run_id(run_id)


@dataclass(frozen=True)
class Run:
    """One run: what it is called, how far it is, how it ended.

    Attributes:
        run_id: Its id, and the name of its folder.
        name: What the user calls it.
        kind: What it does: "train", or "measure" where it only measures the model of its `parent` again.
        status: queued, running, stopping, completed, stopped, failed or interrupted.
        created: When it was queued, ISO UTC.
        started: When its process was started, or None.
        ended: When it ended, or None.
        step: Optimiser steps done.
        total_steps: Optimiser steps planned; 0 until known.
        epoch: Passes over the training rows done.
        pairs_per_second: Training rows over seconds of the training loop.
        seconds: Time in the training loop.
        device: Where it computes; empty until known.
        message: Why it failed or how it ended, for the user; empty otherwise.
        metrics: `before` and `after` on the test part; empty until it ended.
        primary_metric: The metric it is judged by; empty until known.
        verdict: Tuned against base, or None.
        base: Base encoder as the recipe names it.
        data: Stored data set it trains on.
        result: What training returned; empty until it ended.
        folder: Where its files are.
        facts: What the run said of itself when it started (rows, learning rate).
        stop_requested: What to keep ("latest", "best", "none") where a stop was asked for, else None.
        heartbeat: Last sign of life, or None.
        parent: The run whose corrections it was retrained with, or None.
    """

    run_id: str
    name: str
    kind: str
    status: Status
    created: str
    started: str | None
    ended: str | None
    step: int
    total_steps: int
    epoch: float
    pairs_per_second: float
    seconds: float
    device: str
    message: str
    metrics: Mapping[str, Any]
    primary_metric: str
    verdict: Mapping[str, Any] | None
    base: str
    data: str
    result: Mapping[str, Any]
    folder: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    stop_requested: str | None = None
    heartbeat: str | None = None
    parent: str | None = None

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.status in ACTIVE

    @property
    def model_folder(self) -> Path | None:
        """Where its trained model is, None where it has none."""
        return self.folder / MODEL_FOLDER if kept_model(self.folder) is not None else None

    @property
    def findings(self) -> dict[str, Any]:
        """What was found beside the verdict: `general`, `unrelated_cosine`, `threshold` (None where there is none), `warnings`."""
        names = ("general", "unrelated_cosine", "threshold")
        return {**{name: self.result.get(name) for name in names}, "warnings": self.result.get("warnings") or []}

    def recipe(self) -> Recipe:
        """Return what it does, as it was frozen when it was queued.

        Raises:
            RunError: If the recipe cannot be read any more.
        """
        path = self.folder / RECIPE_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise RunError(f"The recipe of run {self.run_id} cannot be read: {error.strerror or error} (`{path.name}`).") from None
        return Recipe.from_json(text)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, without machine paths."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "folder"}
        return {**values, **self.findings, "active": self.active}

    @classmethod
    def from_row(cls, row: sqlite3.Row, home: Path) -> Run:
        """Read a row of the table."""
        values: dict[str, Any] = {}
        for item in dataclasses.fields(cls):
            if item.name == "folder":
                values["folder"] = run_folder(row["run_id"], home)
            elif item.name in JSON_COLUMNS:
                values[item.name] = None if row[item.name] is None else json.loads(row[item.name])
            else:
                values[item.name] = row[item.name]
        values["status"] = cast(Status, values["status"])
        return cls(**values)


JSON_COLUMNS = frozenset({"metrics", "verdict", "result", "facts"})
"""Columns that hold JSON text."""
