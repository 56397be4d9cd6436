"""Waiting for a run: for the command line and for Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from workbench.errors import RunError
from workbench.recipe import Recipe
from workbench.runs.database import patiently
from workbench.runs.history import get_run
from workbench.runs.live import read_live
from workbench.runs.run import Run
from workbench.runs.submission import submit
from workbench.settings import home_folder

_INTERVAL = 0.5


@dataclass(frozen=True)
class RunResult:
    """What a run that has ended left behind.

    Attributes:
        run_id: Its id.
        status: `completed` or `stopped`; of a run that failed, `failed` or `interrupted`.
        output_dir: The model's folder; empty where none was kept.
        steps: Optimiser steps taken.
        seconds: Training loop, tokenising and loading included, evaluation and saving not.
        pairs_per_second: Training rows over those seconds.
        padding_fraction: Padded over all token positions computed.
        precision: What the encoder computed in while training; empty where that was not written down.
        metrics: `before` and `after` on the test part.
        primary_metric: The metric it is judged by.
        verdict: Tuned against base.
        general: The forgetting check; None where it was not made.
        unrelated_cosine: Mean cosine of unrelated general texts, `before` and `after`, or None.
        threshold: The cosine from which on texts count as a match for the tuned model, or None.
        warnings: What to know before trusting the rest, as `kind` and `message`.
    """

    run_id: str
    status: str
    output_dir: str
    steps: int
    seconds: float
    pairs_per_second: float
    padding_fraction: float
    precision: str
    metrics: Mapping[str, Any]
    primary_metric: str
    verdict: Mapping[str, Any] | None
    general: Mapping[str, Any] | None
    unrelated_cosine: Mapping[str, float] | None
    threshold: float | None
    warnings: Sequence[Mapping[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)

    @classmethod
    def from_run(cls, run: Run) -> RunResult:
        """Read the result of a run."""
        return cls(
            run_id=run.run_id,
            status=run.status,
            output_dir="" if run.model_folder is None else str(run.model_folder),
            steps=run.step,
            seconds=run.seconds,
            pairs_per_second=run.pairs_per_second,
            padding_fraction=float(run.result.get("padding_fraction", 0.0)),
            precision=str(run.result.get("precision", "")),
            metrics=run.metrics or {"before": None, "after": None},
            primary_metric=run.primary_metric,
            verdict=run.verdict,
            **run.findings,
        )


def follow(
    run_id: str,
    home: Path,
    on_update: Callable[[dict[str, Any]], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Run:
    """Wait until a run has ended; interrupting the wait leaves the run alone, and a full disk prolongs it.

    Args:
        run_id: Which run.
        home: Folder of the workbench.
        on_update: Is given what `read_live` returns, about twice a second, each point once.
        on_wait: Is told when the history cannot be used for a while, and when it can again.

    Raises:
        InputError: If there is no such run.
    """
    cursor = ""
    say = on_wait or (lambda text: None)
    while True:
        if on_update is None:
            active = patiently(lambda: get_run(run_id, home), say).active
        else:
            live = patiently(partial(read_live, run_id, home, cursor), say)
            cursor = live["cursor"]
            on_update(live)
            active = live["run"]["active"]
        if not active:
            return patiently(lambda: get_run(run_id, home), say)
        time.sleep(_INTERVAL)


def train(recipe: Recipe, home: str | Path | None = None) -> RunResult:
    """Queue a run, wait for it, and return what it left.

    Args:
        recipe: What to do.
        home: Folder of the workbench; None takes WORKBENCH_HOME, else `~/.workbench`.

    Raises:
        InputError: If the recipe cannot be used.
        RunError: If the run failed or was interrupted.
    """
    folder = home_folder(home)
    run = follow(submit(recipe, folder).run_id, folder)
    if run.status in {"failed", "interrupted"}:
        raise RunError(f"Run {run.run_id} {'failed' if run.status == 'failed' else 'was interrupted'}: {run.message}")
    return RunResult.from_run(run)
