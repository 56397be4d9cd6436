"""What the quick start gives: `mini` tuned on the sample pairs, over several seeds.

    python -m benchmarks.quick_start [--seeds 3] [--output benchmarks/quick_start.json]

The recipe of the page's button and of the README's first command, queued as any run is, with nothing changed but the seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import machine, write_json
from workbench import Recipe, train
from workbench.models import DEFAULT_BASE
from workbench.recipe import TrainingConfig
from workbench.runs import suggest

ROOT = Path(__file__).parents[1]
FIRST_SEED = TrainingConfig().seed


def run_one(seed: int, home: Path) -> dict[str, Any]:
    """Train with one seed and return the verdict and how long it took."""
    recipe = Recipe(
        base=DEFAULT_BASE,
        data=str(ROOT / "sample_data" / "support_pairs.csv"),
        test_data=str(ROOT / "sample_data" / "support_pairs_heldout.csv"),
        training=TrainingConfig(seed=seed),
    )
    training = dataclasses.replace(recipe.training, **suggest(recipe, home).values())
    result = train(recipe.replace(training=training), home)
    assert result.verdict is not None
    names = ("outcome", "before", "after", "difference", "interval", "rows")
    return {"seed": seed, "seconds": result.seconds, **{name: result.verdict[name] for name in names}}


def main() -> None:
    """Run, print a table, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        runs = [run_one(FIRST_SEED + number, Path(home)) for number in range(options.seeds)]
    for run in runs:
        low, high = run["interval"]
        print(f"seed {run['seed']}: {run['before']:.3f} -> {run['after']:.3f}, {low:+.3f} to {high:+.3f}, {run['outcome']}")
    write_json({"base": DEFAULT_BASE, "machine": machine(), "runs": runs}, options.output)


if __name__ == "__main__":
    main()
