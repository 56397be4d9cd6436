"""How fast training is, beside sentence-transformers' own trainer.

    python -m benchmarks.train_throughput [--device cuda] [--base minilm] [--data FILE.csv] [--batch-size 32 128] [--precision fp32 bf16]

Two measurements. *Like for like*: the same network, rows, batch size, precision, optimiser, schedule and number of steps, by turns in
one process. *Defaults*: each side with its own defaults on the same rows, measured on the same validation part after every so many
rows; what counts is the training time until a score that both reach. CoSENT loss on both sides.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from benchmarks.inputs import add_options, describe, read_rows, set_up, write_base
from benchmarks.measuring import (
    EncoderSize,
    common_target,
    interleaved,
    matmul_flops_per_second,
    spread,
    time_to_score,
    training_flops,
)
from benchmarks.report import markdown, publish, setting, times
from benchmarks.sides import Plan, Training, same_settings, train_ours, train_theirs
from workbench import SentenceTransformer
from workbench.data.splitting import split_rows, text_ids
from workbench.recipe import TrainingConfig

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDES = ("ours", "theirs")
WARM_UP_STEPS = 3


def like_for_like(plan: Plan, size: EncoderSize, batch_size: int, precision: str, steps: int, repeats: int) -> dict[str, Any]:
    """Return speed, padding and share of the machine's peak of both sides under one setting."""
    config = TrainingConfig(
        batch_size=batch_size, max_steps=steps, learning_rate=2e-5, precision=precision, device=plan.device, eval_steps=steps
    )
    peak = matmul_flops_per_second(plan.device, DTYPES[precision])
    for side in SIDES:
        _train(side, plan, TrainingConfig(**{**config.to_dict(), "max_steps": WARM_UP_STEPS}))
    runs: dict[str, list[Training]] = {side: [] for side in SIDES}
    for repeat, side in interleaved(SIDES, repeats):
        run = _train(side, plan, config)
        runs[side].append(run)
        print(
            f"  batch {batch_size}, {precision}, {repeat + 1} of {repeats}, {side}: {run.rows / run.seconds:.1f} rows/s", flush=True
        )
    found: dict[str, Any] = {
        "batch_size": batch_size,
        "precision": precision,
        "steps": steps,
        "peak_flops_per_second": round(peak),
        "settings": config.to_dict(),
    }
    for side in SIDES:
        found[side] = _summary(runs[side], size, peak)
    found["times_as_fast"] = _ratio(runs, lambda run: run.rows / run.seconds)
    found["times_as_fast_steady"] = _ratio(runs, lambda run: run.steady_rows / run.steady_seconds)
    return found


def _train(side: str, plan: Plan, config: TrainingConfig) -> Training:
    return train_ours(plan, config) if side == "ours" else train_theirs(plan, same_settings(config, len(plan.rows)))


def _summary(runs: list[Training], size: EncoderSize, peak: float) -> dict[str, Any]:
    flops = [training_flops(size, run.lengths) / run.seconds for run in runs]
    return {
        "rows_per_second": spread(run.rows / run.seconds for run in runs),
        "steady_rows_per_second": spread(run.steady_rows / run.steady_seconds for run in runs),
        "padding_fraction": round(runs[0].padding_fraction, 4),
        "tokens_per_row": round(sum(runs[0].lengths) / runs[0].rows, 2),
        "share_of_peak": spread(value / peak for value in flops),
        "seconds": [round(run.seconds, 3) for run in runs],
    }


def _ratio(runs: dict[str, list[Training]], speed: Any) -> dict[str, float]:
    return spread(speed(ours) / speed(theirs) for ours, theirs in zip(runs["ours"], runs["theirs"], strict=True))


def default_settings(device: str, seed: int, rows_between: int) -> tuple[TrainingConfig, dict[str, Any]]:
    """Return what each side is given beside its defaults: the device, the seed, and when it is measured.

    Args:
        device: `cpu` or `cuda`.
        seed: Of both.
        rows_between: Rows between two evaluations.
    """
    from sentence_transformers import SentenceTransformerTrainingArguments

    batch_size = SentenceTransformerTrainingArguments("unused", use_cpu=device == "cpu").per_device_train_batch_size
    ours = TrainingConfig(device=device, seed=seed, eval_steps=max(1, rows_between // TrainingConfig().batch_size))
    return ours, {"seed": seed, "eval_steps": max(1, rows_between // batch_size)}


def defaults(plan: Plan, table: Dataset, races: int, target: float | None, evaluations: int) -> dict[str, Any]:
    """Return the training time of each side with its own defaults until a score that both reach.

    Args:
        plan: Base, device and working folder.
        table: All rows; a part without shared sentences is held out of them to measure on.
        races: How often, each with a seed of its own.
        target: The score to reach; None for the lower of the two best.
        evaluations: How often an epoch is measured.
    """
    found = []
    first = TrainingConfig()
    for race, seed in enumerate(range(first.seed, first.seed + races)):
        split = split_rows(text_ids([list(table["sentence1"]), list(table["sentence2"])]), first.validation_fraction, 0.0, seed)
        plan.rows, plan.validation = table.select(split.train), table.select(split.validation)
        between = max(first.batch_size, first.batch_size * round(len(plan.rows) / evaluations / first.batch_size))
        ours, theirs = default_settings(plan.device, seed, between)
        runs: dict[str, Training] = {}
        for side in SIDES if race % 2 == 0 else reversed(SIDES):
            runs[side] = train_ours(plan, ours) if side == "ours" else train_theirs(plan, theirs)
            best = max(point.value for point in runs[side].curve)
            print(f"  defaults, seed {seed}, {side}: best {best:.4f}, {runs[side].seconds:.1f} s in all", flush=True)
        wanted = common_target(run.curve for run in runs.values()) if target is None else target
        seconds = {side: time_to_score(run.curve, wanted) for side, run in runs.items()}
        found.append(
            {
                "seed": seed,
                "target": wanted,
                "seconds": seconds,
                "times_as_fast": None if None in seconds.values() or not seconds["ours"] else seconds["theirs"] / seconds["ours"],
                "train_rows": len(plan.rows),
                "validation_rows": len(plan.validation),
                "rows_between_evaluations": between,
                "settings": {"ours": ours.to_dict(), "theirs": _their_defaults(plan.device)},
                "curves": {side: [asdict(point) for point in runs[side].curve] for side in SIDES},
                "whole_seconds": {side: round(runs[side].seconds, 3) for side in SIDES},
            }
        )
    ratios = [race["times_as_fast"] for race in found if race["times_as_fast"] is not None]
    return {"races": found, "times_as_fast": spread(ratios) if ratios else None}


def _their_defaults(device: str) -> dict[str, Any]:
    from sentence_transformers import SentenceTransformerTrainingArguments

    arguments = SentenceTransformerTrainingArguments("unused", use_cpu=device == "cpu").to_dict()
    names = (
        "num_train_epochs",
        "per_device_train_batch_size",
        "learning_rate",
        "warmup_steps",
        "lr_scheduler_type",
        "weight_decay",
    )
    return {name: arguments[name] for name in (*names, "max_grad_norm", "optim", "bf16", "fp16", "batch_sampler", "logging_steps")}


def table(result: dict[str, Any]) -> str:
    """Return the README's tables of a result."""
    parts = []
    if result["like_for_like"]:
        header = ["batch, precision", "ours, rows/s", "theirs, rows/s", "times as fast", "start-up left out"]
        header += ["padding, ours", "padding, theirs", "share of peak, ours", "share of peak, theirs"]
        rows = []
        for item in result["like_for_like"]:
            sides = [item[side] for side in SIDES]
            rows.append(
                [
                    f"{item['batch_size']}, {item['precision']}",
                    *[f"{side['rows_per_second']['median']:,.0f}" for side in sides],
                    times(item["times_as_fast"]),
                    times(item["times_as_fast_steady"]),
                    *[f"{side['padding_fraction']:.1%}" for side in sides],
                    *[f"{side['share_of_peak']['median']:.0%}" for side in sides],
                ]
            )
        parts.append(markdown(header, rows))
    if result["defaults"]:
        header = [
            "defaults, seed",
            "score both reach",
            "ours, s",
            "theirs, s",
            "times as fast",
            "whole run, ours, s",
            "whole run, theirs, s",
        ]
        rows = [
            [
                str(race["seed"]),
                f"{race['target']:.4f}",
                *[_or_never(race["seconds"][side]) for side in SIDES],
                "-" if race["times_as_fast"] is None else f"{race['times_as_fast']:.2f}",
                *[f"{race['whole_seconds'][side]:.1f}" for side in SIDES],
            ]
            for race in result["defaults"]["races"]
        ]
        parts.append(markdown(header, rows))
    return "\n\n".join([*parts, setting(result)])


def _or_never(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


def main() -> None:
    """Measure, print the tables, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_options(parser, __file__)
    parser.add_argument("--part", choices=("both", "like", "defaults"), default="both")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[32])
    parser.add_argument("--precision", choices=tuple(DTYPES), nargs="+", default=["fp32"])
    parser.add_argument("--steps", type=int, default=40, help="of each like-for-like run; on a GPU rather 1000")
    parser.add_argument("--repeats", type=int, default=3, help="like-for-like runs of each side")
    parser.add_argument("--races", type=int, default=1, help="default-against-default runs of each side")
    parser.add_argument("--target", type=float, help="validation score to reach; the lower of the two best if not given")
    parser.add_argument("--evaluations", type=int, default=6, help="evaluations an epoch in the default runs")
    options = parser.parse_args()
    set_up(options)
    rows = read_rows(options.data, options.rows)
    with tempfile.TemporaryDirectory() as folder:
        base = write_base(options, Path(folder) / "base")
        size = EncoderSize.of(SentenceTransformer(base, device="cpu").encoder.auto_model)
        plan = Plan(base, rows, Path(folder) / "work", options.device)
        result = describe(options, len(rows)) | {"loss": plan.loss, "encoder": asdict(size), "like_for_like": [], "defaults": None}
        if options.part != "defaults":
            for precision in options.precision:
                for batch_size in options.batch_size:
                    found = like_for_like(plan, size, batch_size, precision, options.steps, options.repeats)
                    result["like_for_like"].append(found)
        if options.part != "like":
            result["defaults"] = defaults(plan, rows, options.races, options.target, options.evaluations)
    publish(result, options.output, table(result))


if __name__ == "__main__":
    main()
