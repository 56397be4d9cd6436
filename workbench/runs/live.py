"""What a watcher of a run is told: new points since a cursor, the end of the log, the time left."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.runs.history import find_run, get_run
from workbench.runs.run import LOG_FILE, METRICS_FILE, WATCH_FILE, Run

MAXIMUM_POINTS = 3000
MAXIMUM_MATRICES = 400
SMOOTHING = 25
"""Points of the loss curve over which the smoothed line looks back."""

_TRAIN_KEYS = ("loss", "grad_norm")  # what must keep its peaks
LOG_CHARACTERS = 8000
_LOG_BYTES = 64 * 1024  # progress bars are redrawn many times a line; behind them is what one wants to read

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

Point = dict[str, Any]


def read_live(run_id: str, home: Path, after: str = "") -> dict[str, Any]:
    """Return a run, its points since a cursor, and the end of its log.

    Args:
        run_id: Which run.
        home: Folder of the workbench.
        after: The `cursor` of the last answer; empty, or anything that is none, starts at the beginning.

    Returns:
        `run`, `points`, `cursor`, `log`, `eta_seconds` (None where unknown), `watch` (bytes of watch-list matrices so far; when it
        grows there is something new to read). Where points had to be left out, those of the loss curve have `smooth`, the smoothed loss.

    Raises:
        InputError: If there is no such run.
    """
    run = get_run(run_id, home)
    points, cursor = read_points(run.folder / METRICS_FILE, after)
    if len(points) > MAXIMUM_POINTS:
        train, evaluation = _by_type(points)
        share = max(2, MAXIMUM_POINTS - min(len(evaluation), MAXIMUM_POINTS // 2))
        # Smoothed before it is thinned: the mean of what is kept, lows and highs, is not that of the curve.
        points = [
            *downsample(smooth(train), share, *_TRAIN_KEYS),
            *downsample(evaluation, MAXIMUM_POINTS - share, "value"),
        ]
        points.sort(key=lambda point: point.get("step") or 0)
    return {
        "run": run.to_dict(),
        "points": points,
        "cursor": cursor,
        "log": read_log(run.folder / LOG_FILE),
        "eta_seconds": _eta_seconds(run),
        "watch": _size(run.folder / WATCH_FILE),
    }


def read_watch(run_id: str, home: Path, after: str = "") -> dict[str, Any]:
    """Return the similarities of a run's watch-list since a cursor.

    Args:
        run_id: Which run.
        home: Folder of the workbench.
        after: The `cursor` of the last answer; empty, or anything that is none, starts at the beginning.

    Returns:
        `texts`, the sentences; `points`, each with `step` and `matrix` of cosines, at most 400 of them; `cursor`.

    Raises:
        InputError: If there is no such run.
        RunError: If its recipe cannot be read.
    """
    run = get_run(run_id, home)
    points, cursor = read_points(run.folder / WATCH_FILE, after)
    if len(points) > MAXIMUM_MATRICES:
        last = len(points) - 1
        points = [points[round(index * last / (MAXIMUM_MATRICES - 1))] for index in range(MAXIMUM_MATRICES)]
    return {"texts": list(run.recipe().watch), "points": points, "cursor": cursor}


def read_series(run_ids: Iterable[str], home: Path, maximum: int = MAXIMUM_POINTS) -> dict[str, dict[str, list[Point]]]:
    """Return the curves of several runs, each thinned to at most `maximum` points without losing peaks.

    Raises:
        InputError: If there is no such run.
    """
    series = {}
    for run_id in run_ids:
        run = find_run(run_id, home)
        train, evaluation = _by_type(read_points(run.folder / METRICS_FILE)[0])
        series[run_id] = {"train": downsample(train, maximum, "loss"), "evaluation": downsample(evaluation, maximum, "value")}
    return series


def read_points(path: Path, after: str = "") -> tuple[list[Point], str]:
    """Read the points behind a cursor.

    The cursor is a byte offset behind a line's end; a line that is still being written is left for the next time.

    Args:
        path: The run's `metrics.jsonl`; a missing one has no points.
        after: Cursor, or anything.

    Returns:
        The points and the next cursor.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
            if start > size:
                start = 0
            if start:
                file.seek(start - 1)
                if file.read(1) != b"\n":
                    start = 0
            file.seek(start)
            data = file.read(size - start)
    except FileNotFoundError:
        return [], "0"
    complete = data[: data.rfind(b"\n") + 1]
    points = [point for line in complete.splitlines() if (point := _parse(line)) is not None]
    return points, str(start + len(complete))


def read_log(path: Path, characters: int = LOG_CHARACTERS) -> str:
    """Return the end of a log, whole lines, each progress bar as it was drawn last."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    lines = [_last_drawing(line) for line in text.replace("\r\n", "\n").split("\n")]
    cleaned = "\n".join(lines[1:] if size > _LOG_BYTES and len(lines) > 1 else lines)
    if len(cleaned) <= characters:
        return cleaned
    tail = cleaned[-characters:]
    return tail.partition("\n")[2] if "\n" in tail.rstrip("\n") else tail


def smooth(points: Iterable[Point]) -> list[Point]:
    """Return points of the loss curve with `smooth`, the exponentially weighted mean of `loss` over about the last 25 of them."""
    smoothed = []
    mean: float | None = None
    for point in points:
        loss = point.get("loss")
        if isinstance(loss, int | float) and math.isfinite(loss):
            mean = loss if mean is None else mean + (loss - mean) * 2 / (SMOOTHING + 1)
        smoothed.append({**point, "smooth": mean})
    return smoothed


def downsample(points: Sequence[Point], maximum: int, *keys: str) -> list[Point]:
    """Thin a curve: first and last point, and of each stretch between the lowest and the highest by each key.

    A point without a number (a loss that became NaN) counts as the highest, so it is not lost.

    Args:
        points: In order.
        maximum: How many to return at most.
        *keys: Which values must keep their peaks.
    """
    if len(points) <= maximum:
        return list(points)
    if maximum < 2 + 2 * len(keys):
        return [points[0], points[-1]][:maximum]
    inner = range(1, len(points) - 1)
    stretches = (maximum - 2) // (2 * len(keys))
    kept = [0]
    for number in range(stretches):
        stretch = inner[number * len(inner) // stretches : (number + 1) * len(inner) // stretches]
        if stretch:
            found = set()
            for key in keys:
                heights = [_height(points[index], key) for index in stretch]
                found |= {stretch[heights.index(min(heights))], stretch[heights.index(max(heights))]}
            kept += sorted(found)
    return [points[index] for index in [*kept, len(points) - 1]]


def _height(point: Mapping[str, Any], key: str) -> float:
    value = point.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.inf


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _parse(line: bytes) -> Point | None:
    try:
        value = json.loads(line, parse_constant=lambda name: None)
    except (ValueError, RecursionError):  # a line that a power cut left behind
        return None
    # A line that was cut and went on with the next one may be JSON and still lack what every point has.
    whole = isinstance(value, dict) and isinstance(value.get("step"), int | float)
    if whole and value.get("type") == "evaluation":
        whole = isinstance(value.get("primary_metric", ""), str) and isinstance(value.get("value"), int | float | None)
    return value if whole else None


def _by_type(points: Iterable[Point]) -> tuple[list[Point], list[Point]]:
    train: list[Point] = []
    evaluation: list[Point] = []
    for point in points:
        (evaluation if point.get("type") == "evaluation" else train).append(point)
    return train, evaluation


def _last_drawing(line: str) -> str:
    drawn = [part for part in _ESCAPES.sub("", line).split("\r") if part.strip()]
    return _CONTROLS.sub("", drawn[-1]).rstrip() if drawn else ""


def _eta_seconds(run: Run) -> float | None:
    if run.status != "running" or not run.step or not run.total_steps:
        return None
    return run.seconds / run.step * max(0, run.total_steps - run.step)
