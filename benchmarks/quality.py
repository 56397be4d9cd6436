"""Whether the same recipe gives as good a model as sentence-transformers' trainer does, over paired seeds.

    python -m benchmarks.quality [--base minilm] [--data TRAIN.csv --dev DEV.csv] [--seeds 5] [--epochs 1]

Base, rows, batch size, rate, schedule, epochs, weight decay, loss and precision are the same; the seed decides the order of the rows and
dropout. Both models are measured by the same evaluator, each on the vectors of its own `encode`.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.inputs import ROOT, SAMPLE, add_options, describe, read_rows, set_up, write_base
from benchmarks.report import markdown, publish, setting
from benchmarks.sides import Plan, Training, same_settings, scored_pairs_evaluator, train_ours, train_theirs
from workbench import SentenceTransformer
from workbench.errors import ConfigError
from workbench.recipe import TrainingConfig

HELD_OUT = ROOT / "sample_data" / "support_pairs_heldout.csv"
SIDES = ("ours", "theirs")


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return Student's interval of a mean, or None for fewer than two values."""
    from scipy import stats

    if len(values) < 2:
        return None
    reach = stats.t.ppf((1 + level) / 2, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.fmean(values)
    return mean - float(reach), mean + float(reach)


def summary(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return means and the interval of the difference of paired runs."""
    differences = [pair["ours"] - pair["theirs"] for pair in pairs]
    interval = mean_interval(differences)
    return {
        "pairs": list(pairs),
        "mean": {side: statistics.fmean(pair[side] for pair in pairs) for side in SIDES},
        "difference": {"mean": statistics.fmean(differences), "interval": None if interval is None else list(interval)},
    }


def paired_runs(plan: Plan, config: TrainingConfig, evaluate: Any, seeds: int) -> dict[str, Any]:
    """Train both sides with one seed after the other, and return their scores."""
    pairs: list[dict[str, Any]] = []
    for number, seed in enumerate(range(config.seed, config.seed + seeds)):
        pair: dict[str, Any] = {"seed": seed, "seconds": {}}
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            run = _train(side, plan, dataclasses.replace(config, seed=seed))
            pair[side] = evaluate(run.encode).value
            pair["seconds"][side] = round(run.seconds, 2)
            print(f"  seed {seed}, {side}: {pair[side]:.4f}, {run.seconds:.1f} s", flush=True)
        pairs.append(pair)
    return summary(pairs)


def _train(side: str, plan: Plan, config: TrainingConfig) -> Training:
    return train_ours(plan, config) if side == "ours" else train_theirs(plan, same_settings(config, len(plan.rows)))


def table(result: dict[str, Any]) -> str:
    """Return the README's table of a result."""
    rows = [
        [f"seed {pair['seed']}", *[f"{pair[side]:.4f}" for side in SIDES], f"{pair['ours'] - pair['theirs']:+.4f}"]
        for pair in result["pairs"]
    ]
    mean, difference = result["mean"], result["difference"]
    rows.append(["mean", *[f"{mean[side]:.4f}" for side in SIDES], f"{difference['mean']:+.4f}"])
    interval = difference["interval"]
    words = "" if interval is None else f"95% interval of the mean difference: {interval[0]:+.4f} to {interval[1]:+.4f}. "
    config = result["settings"]
    recipe = (
        f"The base gives {result['before']:.4f}. Epochs: {config['epochs']:g}, batches of {config['batch_size']}, rate "
        f"{config['learning_rate']:g}, {result['loss']}, {config['precision']}; measured on {result['dev']['rows']:,} rows of "
        f"{result['dev']['file']}. "
    )
    return f"{markdown(['', 'ours', 'theirs', 'difference'], rows)}\n\n{words}{recipe}{setting(result)}"


def main() -> None:
    """Train, print the table, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_options(parser, __file__)
    parser.add_argument(
        "--dev", type=Path, help="file of scored pairs to measure on; the held-out sample pairs if `--data` is not given"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, help="what the workbench takes for this base if not given")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    if options.dev is None and options.data != SAMPLE:
        raise ConfigError("`dev` is needed with `data`: a file of scored pairs to measure on.")
    set_up(options)
    rows, dev = read_rows(options.data, options.rows), read_rows(options.dev or HELD_OUT)
    evaluate = scored_pairs_evaluator(dev)
    with tempfile.TemporaryDirectory() as folder:
        base = write_base(options, Path(folder) / "base")
        start = SentenceTransformer(base, device=options.device)
        rate = options.learning_rate or TrainingConfig().learning_rate_for(True, start.get_sentence_embedding_dimension())
        config = TrainingConfig(
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=rate,
            precision=options.precision,
            device=options.device,
        )
        before = evaluate(start.encode).value
        plan = Plan(base, rows, Path(folder) / "work", options.device)
        found = paired_runs(plan, config, evaluate, options.seeds)
    result = describe(options, len(rows)) | {
        "loss": plan.loss,
        "dev": {"file": (options.dev or HELD_OUT).name, "rows": len(dev)},
        "settings": config.to_dict(),
        "before": before,
        **found,
    }
    publish(result, options.output, table(result))


if __name__ == "__main__":
    main()
