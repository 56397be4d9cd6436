"""A run's process with a trainer that needs no torch: `python fake_run.py HOME RUN_ID`.

What it does is told by the run's name; `max_steps` of its recipe is how many steps it takes.
"""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

from workbench.errors import RunError
from workbench.runs.worker import execute


def result(status, steps, best_step=None):
    values = {
        "status": status,
        "steps": steps,
        "seconds": 1.5,
        "pairs_per_second": 20.0,
        "padding_fraction": 0.0,
        "metrics": {"before": {"spearman_cosine": 0.5}, "after": {"spearman_cosine": float("nan")}},
        "primary_metric": "spearman_cosine",
        "verdict": {"outcome": "not_judged", "sentence": "Too few rows."},
        "device": "cpu",
        "precision": "bf16",
        "best_step": best_step,
    }
    return SimpleNamespace(**values, to_dict=lambda: values)


def trainer(recipe, parts, home, output_dir, listener):
    note(home, f"start {recipe.name}")
    if recipe.name == "wrong":
        raise RunError("The loss is no longer a number; lower `learning_rate`.")
    if recipe.name == "defect":
        raise ValueError("boom\nsecond line")
    if recipe.name == "exit 7":
        sys.exit(7)
    total = recipe.training.max_steps
    listener.on_start(total, "cpu", {"rows": 4, "primary_metric": "spearman_cosine"})
    for step in range(1, total + 1):
        listener.on_train({"step": step, "epoch": step / 10, "loss": 1 / step, "learning_rate": 1e-3, "grad_norm": float("inf")})
        listener.on_progress(step, total, step / 10, 40.0, step / 100)
        while recipe.name == "deaf":
            time.sleep(0.01)
        keep = listener.stop_requested()
        if keep is not None:
            note(home, f"end {recipe.name}")
            return result("stopped", step, None if keep == "none" else step)
        time.sleep(0.005)
    listener.on_evaluation({"step": total, "metrics": {}, "primary_metric": "spearman_cosine", "value": 0.5, "best": True})
    note(home, f"end {recipe.name}")
    return result("completed", total, total)


def note(home, text):
    with (home / "notes.txt").open("a") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    sys.exit(execute(sys.argv[2], Path(sys.argv[1]), trainer=trainer, parts=lambda recipe, home: None))
