"""How large a batch fits into a memory budget, beside sentence-transformers' own trainer.

    python -m benchmarks.memory [--device cuda] [--base minilm] [--budget-gib 2] [--smallest 64] [--largest 512] [--texts-at-once 64]

Batches are doubled, with in-batch negatives, until the high-water mark is over the budget. Each is two steps in a process of its own: the
second has the optimiser's state beside the activations. On a GPU the mark is what torch allocated at most, on the CPU the most that the
process held, libraries and weights included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from benchmarks.inputs import ROOT, add_options, describe, read_rows, set_up, write_base
from benchmarks.measuring import resident_bytes
from benchmarks.report import markdown, publish, setting
from benchmarks.sides import IN_BATCH_NEGATIVES, Plan, same_settings, train_ours, train_theirs
from workbench.errors import RunError
from workbench.recipe import TrainingConfig

GIB = 1 << 30
STEPS = 2
SIDES = {"ours": "ours", "ours_in_parts": "ours, in parts", "theirs": "theirs", "theirs_in_parts": "theirs, in parts"}


def distinct_rows(table: Dataset, number: int) -> Dataset:
    """Return so many rows of which no two share a text: those of a table, over and over, each with its number behind it."""
    rows = table.select([index % len(table) for index in range(number)])
    columns = {name: [f"{text} {index}" for index, text in enumerate(rows[name])] for name in ("sentence1", "sentence2")}
    return Dataset.from_dict({**columns, "score": list(rows["score"])})


class HighWaterMark:
    """Takes the mark when the last step has ended, before anything else can raise it."""

    def __init__(self, device: str) -> None:
        self._cuda = device == "cuda"
        self.start = self.peak = 0

    def __call__(self, step: int) -> None:
        """Be told that a step has ended; 0 is before the first."""
        if step == 0:
            if self._cuda:
                torch.cuda.reset_peak_memory_stats()
            self.start = torch.cuda.memory_allocated() if self._cuda else resident_bytes()[0]
        elif step == STEPS:
            self.peak = torch.cuda.max_memory_allocated() if self._cuda else resident_bytes()[1]


def measure_one(task: dict[str, Any]) -> dict[str, Any]:
    """Train two steps in this process and return the mark, in bytes.

    Args:
        task: `side`, `batch_size`, `texts_at_once`, `base`, `data`, `work`, `device`, `precision`.
    """
    mark = HighWaterMark(task["device"])
    rows = distinct_rows(read_rows(Path(task["data"])), STEPS * task["batch_size"])
    plan = Plan(Path(task["base"]), rows, Path(task["work"]), task["device"], loss=IN_BATCH_NEGATIVES, at_step=mark)
    parts = task["texts_at_once"] if task["side"].endswith("in_parts") else None
    config = TrainingConfig(
        batch_size=task["batch_size"],
        # Ours counts rows of two texts, theirs the texts of one column.
        micro_batch_size=None if parts is None else parts // 2,
        max_steps=STEPS,
        learning_rate=2e-5,
        precision=task["precision"],
        device=task["device"],
    )
    try:
        if task["side"].startswith("ours"):
            train_ours(plan, config)
        else:
            train_theirs(plan, same_settings(config, len(rows)), parts)
    except (torch.cuda.OutOfMemoryError, RunError):
        return {"out_of_memory": True}
    return {"peak": mark.peak, "start": mark.start}


def in_own_process(task: dict[str, Any], threads: int | None) -> dict[str, Any]:
    """Do `measure_one` in a fresh process.

    Raises:
        RuntimeError: If it ended otherwise than for want of memory.
    """
    command = [sys.executable, "-m", "benchmarks.memory", "--task", json.dumps(task)]
    if threads:
        command += ["--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode == -9:  # the system's answer to a process that wants more memory than there is
        return {"out_of_memory": True}
    if done.returncode != 0:
        raise RuntimeError(f"{task['side']}, batch {task['batch_size']}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def search(measure: Callable[[int], dict[str, Any]], smallest: int, largest: int, budget: float) -> dict[str, Any]:
    """Double the batch until it does not fit.

    Args:
        measure: Batch size to `{"peak": bytes, ...}` or `{"out_of_memory": True}`.
        smallest: First batch size.
        largest: Batch size not to go beyond.
        budget: Bytes.

    Returns:
        The marks by batch size, and the largest batch that fitted; None if not even the smallest did.
    """
    marks: dict[int, dict[str, Any]] = {}
    fitting = None
    batch = smallest
    while batch <= largest:
        marks[batch] = measure(batch)
        if marks[batch].get("out_of_memory") or marks[batch]["peak"] > budget:
            break
        fitting = batch
        batch *= 2
    return {"marks": {str(size): mark for size, mark in marks.items()}, "largest_batch": fitting, "ended_by_limit": batch > largest}


def table(result: dict[str, Any]) -> str:
    """Return the README's table of a result."""
    sides = result["sides"]
    sizes = sorted({int(size) for side in sides.values() for size in side["marks"]})
    rows = [[f"{size} rows, GiB", *[_mark(side["marks"].get(str(size))) for side in sides.values()]] for size in sizes]
    rows.append([f"largest within {result['budget_gib']:g} GiB", *[_largest(side, sizes[0]) for side in sides.values()]])
    where = "allocated by torch" if result["device"] == "cuda" else "held by the process"
    words = f"Most memory {where} in two steps, {result['precision']}; in parts: {result['texts_at_once']} texts at once."
    return f"{markdown(['batch', *[SIDES[name] for name in sides]], rows)}\n\n{words} {setting(result)}"


def _mark(mark: dict[str, Any] | None) -> str:
    if mark is None:
        return ""
    return "out of memory" if mark.get("out_of_memory") else f"{mark['peak'] / GIB:.2f}"


def _largest(side: dict[str, Any], smallest: int) -> str:
    if side["largest_batch"] is None:
        return f"under {smallest}"
    return f"{side['largest_batch']} or more" if side["ended_by_limit"] else str(side["largest_batch"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_options(parser, __file__)
    parser.add_argument("--budget-gib", type=float, default=2.0)
    parser.add_argument("--smallest", type=int, default=64)
    parser.add_argument("--largest", type=int, default=512)
    parser.add_argument("--texts-at-once", type=int, default=64, help="for gradient caching, on both sides")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--task", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    set_up(options)
    if options.task is not None:
        print(json.dumps(measure_one(options.task)))
        return
    rows = read_rows(options.data, options.rows)
    sides: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = write_base(options, Path(folder) / "base")
        for side in SIDES:

            def measure(batch_size: int, side: str = side) -> dict[str, Any]:
                task = {
                    "side": side,
                    "batch_size": batch_size,
                    "texts_at_once": options.texts_at_once,
                    "base": str(base),
                    "data": str(options.data.resolve()),
                    "work": str(Path(folder) / "work"),
                    "device": options.device,
                    "precision": options.precision,
                }
                found = in_own_process(task, options.threads)
                print(f"  {SIDES[side]}, batch {batch_size}: {_mark(found)} GiB", flush=True)
                return found

            sides[side] = search(measure, options.smallest, options.largest, options.budget_gib * GIB)
    result = describe(options, len(rows)) | {
        "loss": IN_BATCH_NEGATIVES,
        "budget_gib": options.budget_gib,
        "texts_at_once": options.texts_at_once,
        "precision": options.precision,
        "steps": STEPS,
        "sides": sides,
    }
    publish(result, options.output, table(result))


if __name__ == "__main__":
    main()
