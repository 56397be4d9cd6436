"""Where the time of a training step goes.

    python -m benchmarks.step_profile [--base minilm] [--data FILE.csv] [--batch-size 32] [--precision fp32 bf16] [--steps 30]

A run as the workbench makes it, watched by torch's profiler for some steps after the first few. Each operation's own time counts
once, under one heading; what no operation accounts for is Python's, and numpy's random numbers for dropout.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.inputs import add_options, describe, read_rows, set_up, write_base
from benchmarks.report import markdown, publish, setting
from benchmarks.sides import Plan, train_ours
from workbench.recipe import TrainingConfig

WARM_UP = 5
ATTENTION = "_WithinSentences"
HEADINGS = {
    "matrix products": ("aten::addmm", "aten::mm", "aten::linear", "mkldnn", "aten::matmul"),
    "activation function": ("gelu", "silu", "aten::tanh", "aten::erf"),
    "layer norms": ("layer_norm",),
    "copies and casts": ("aten::copy_", "aten::to", "aten::_to_copy", "aten::cat", "aten::clone", "aten::contiguous"),
    "word vectors' lookup": ("embedding", "aten::index", "aten::gather"),
    "optimiser and clipping": ("adamw", "_foreach", "clip", "norm"),
    "sums and products of numbers": ("aten::add", "aten::mul", "aten::div", "aten::sum", "aten::sub"),
}
"""By what an operation's name contains, the first that fits."""
WITHIN, OTHERS, OUTSIDE = "attention within sentences", "other operations", "Python, and numpy's random numbers"


def heading(event: Any) -> str:
    """Return under which heading an operation's own time goes."""
    parent = event
    while parent is not None:
        if ATTENTION in parent.name:
            return WITHIN
        parent = parent.cpu_parent
    name = event.name.lower()
    return next((title for title, parts in HEADINGS.items() if any(part in name for part in parts)), OTHERS)


def watch(plan: Plan, batch_size: int, precision: str, steps: int) -> dict[str, Any]:
    """Return the shares of a step's time, and how long a step took while it was watched."""
    profiler = profile(activities=[ProfilerActivity.CPU])
    clock: list[float] = []

    def at_step(step: int) -> None:
        if step == WARM_UP:
            profiler.start()
            clock.append(time.perf_counter())
        elif step == WARM_UP + steps:
            clock.append(time.perf_counter())
            profiler.stop()

    plan.at_step = at_step
    config = TrainingConfig(
        batch_size=batch_size, max_steps=WARM_UP + steps + 1, learning_rate=2e-5, precision=precision, device=plan.device
    )
    train_ours(plan, config)
    seconds = clock[1] - clock[0]
    spent: Counter[str] = Counter()
    for event in profiler.events():
        spent[heading(event)] += event.self_cpu_time_total / 1e6
    spent[OUTSIDE] = max(0.0, seconds - sum(spent.values()))
    whole = sum(spent.values())
    return {
        "precision": precision,
        "batch_size": batch_size,
        "steps": steps,
        "ms_per_step": round(1000 * seconds / steps, 1),
        "shares": {title: round(value / whole, 4) for title, value in spent.most_common()},
    }


def table(result: dict[str, Any]) -> str:
    """Return the README's table of a result."""
    settings = result["settings"]
    titles = list(dict.fromkeys(title for item in settings for title in item["shares"]))
    rows = [[title, *[f"{item['shares'].get(title, 0):.0%}" for item in settings]] for title in titles]
    rows.append(["a step, while watched", *[f"{item['ms_per_step']:.0f} ms" for item in settings]])
    header = ["share of a step's time", *[item["precision"] for item in settings]]
    return f"{markdown(header, rows)}\n\nBatches of {settings[0]['batch_size']}. {setting(result)}"


def main() -> None:
    """Measure, print the table, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_options(parser, __file__)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", choices=("fp32", "bf16"), nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    if options.device != "cpu":
        parser.error("a GPU's kernels are watched by other means; only --device cpu")
    set_up(options)
    rows = read_rows(options.data, options.rows)
    with tempfile.TemporaryDirectory() as folder:
        base = write_base(options, Path(folder) / "base")
        settings = [
            watch(Plan(base, rows, Path(folder) / "work", options.device), options.batch_size, precision, options.steps)
            for precision in options.precision
        ]
    result = describe(options, len(rows)) | {"settings": settings, "torch_threads": torch.get_num_threads()}
    publish(result, options.output, table(result))


if __name__ == "__main__":
    main()
