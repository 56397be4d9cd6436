"""How long a person waits: for the command line's help, and from pressing Start to a run's first step.

    python -m benchmarks.start_up [--repeats 5]

The run is that of the quick start, in a home of its own each time, so that nothing is cached but what the system keeps of the files of
Python's packages. Its stages are told apart by what it writes, looked at every few milliseconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import machine, spread
from benchmarks.report import markdown, publish
from workbench import Recipe
from workbench.models import DEFAULT_BASE
from workbench.runs import Run, follow, request_stop, submit

ROOT = Path(__file__).parents[1]
LOOK_EVERY_SECONDS = 0.005
PATIENCE_SECONDS = 300.0
STAGES = {
    "data read, checked and stored, run queued": None,
    "supervisor and the run's process started": ("log.txt", "Loading torch and transformers"),
    "torch and transformers imported": ("log.txt", "Split: "),
    "data split, network built, texts tokenised, base measured on the test part": ("log.txt", "Training on "),
    "start measured on the validation part": ("log.txt", "Step 0: "),
    "first step": ("metrics.jsonl", '"type": "train"'),
}
"""In their order, each with the file and the words that show that it has ended."""


def help_seconds() -> float:
    """Return how long `python -m workbench --help` takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "workbench", "--help"], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def stage_seconds(home: Path) -> dict[str, float]:
    """Return how long each stage of a run took until its first step; the run is stopped then."""
    samples = ROOT / "sample_data"
    recipe = Recipe(
        base=DEFAULT_BASE, data=str(samples / "support_pairs.csv"), test_data=str(samples / "support_pairs_heldout.csv")
    )
    before = time.perf_counter()
    run = submit(recipe, home)
    seconds = {}
    for stage, sign in STAGES.items():
        if sign is not None:
            wait_for(run, *sign)
        now = time.perf_counter()
        seconds[stage] = now - before
        before = now
    request_stop(run.run_id, home, keep="none")
    follow(run.run_id, home)
    return seconds


def wait_for(run: Run, name: str, words: str) -> None:
    """Return once a file of a run holds some words.

    Raises:
        TimeoutError: If it does not in time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    path = run.folder / name
    while not (path.is_file() and words in path.read_text(encoding="utf-8")):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} does not say {words!r}")
        time.sleep(LOOK_EVERY_SECONDS)


def table(result: dict[str, Any]) -> str:
    """Return the README's table of a result."""
    rows = [
        [stage, f"{value['median']:.2f}", f"{value['low']:.2f} to {value['high']:.2f}"] for stage, value in result["stages"].items()
    ]
    whole = result["first_step"]
    rows.append(["from Start to the end of the first step", f"{whole['median']:.2f}", f"{whole['low']:.2f} to {whole['high']:.2f}"])
    told = result["help"]
    rows.append(["`python -m workbench --help`", f"{told['median']:.2f}", f"{told['low']:.2f} to {told['high']:.2f}"])
    where = result["machine"]
    setting = f"{result['repeats']} times; {where['cpu']} with {where['cores']} cores; Python {where['python']}, torch {where['torch']}; {where['date']}."
    return f"{markdown(['stage', 'seconds', 'lowest to highest'], rows)}\n\n{setting}"


def main() -> None:
    """Measure, print the table, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    helps, runs = [], []
    for repeat in range(options.repeats):
        helps.append(help_seconds())
        with tempfile.TemporaryDirectory() as home:
            runs.append(stage_seconds(Path(home)))
        print(f"{repeat + 1} of {options.repeats}: {sum(runs[-1].values()):.2f} s to the first step", flush=True)
    result = {
        "machine": machine(),
        "repeats": options.repeats,
        "help": spread(helps),
        "stages": {stage: spread(run[stage] for run in runs) for stage in STAGES},
        "first_step": spread(sum(run.values()) for run in runs),
    }
    publish(result, options.output, table(result))


if __name__ == "__main__":
    main()
