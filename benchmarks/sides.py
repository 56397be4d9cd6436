"""The two sides of a training measurement: the workbench's own run, and sentence-transformers' own trainer."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from datasets import Dataset
from numpy.typing import NDArray
from transformers import TrainerCallback

from benchmarks.measuring import Point, Stopwatch, TokenCount
from workbench import SentenceTransformer
from workbench.data import Splits
from workbench.evaluation import build_evaluator
from workbench.recipe import ArchitectureSpec, Recipe, TrainingConfig, parse_loss
from workbench.runs.worker import SilentListener
from workbench.training import run_training
from workbench.training.batch import Collate
from workbench.training.sampler import ShuffledBatches
from workbench.training.tokens import Tokens

Encode = Callable[[list[str]], NDArray[np.float32]]
AtStep = Callable[[int], None]

IN_BATCH_NEGATIVES = "MultipleNegativesRankingLoss"


@dataclass
class Training:
    """What one training gave.

    Attributes:
        seconds: Ours: tokenising, making the trainer, training. Theirs: training, tokenising as it goes. Evaluation is in neither.
        steps: Optimiser steps.
        rows: Rows trained on, each as often as it came.
        steady_seconds: Of the steps after the first tenth, with whatever evaluation falls among them.
        steady_rows: Rows of those steps.
        padding_fraction: Padded over all token positions computed.
        lengths: Tokens of each text computed.
        curve: Evaluations, the state before the first step among them.
        encode: The trained model's.
        batches: Rows of each step.
    """

    seconds: float
    steps: int
    rows: int
    steady_seconds: float
    steady_rows: int
    padding_fraction: float
    lengths: list[int]
    curve: list[Point]
    encode: Encode
    batches: list[int]


@dataclass
class Plan:
    """What is trained on.

    Attributes:
        base: Folder of the network to start from.
        rows: Training rows.
        work: Folder for what a run writes; emptied before the next.
        device: `cpu` or `cuda`.
        loss: Class name, the same on both sides.
        validation: Rows measured at each evaluation; None for none.
        at_step: Called before the first step with 0, and after each with its number.
        stop: Asked after each step whether to end; nothing is saved then.
    """

    base: Path
    rows: Dataset
    work: Path
    device: str
    loss: str = "CoSENTLoss"
    validation: Dataset | None = None
    at_step: AtStep = field(default=lambda step: None)
    stop: Callable[[], bool] = field(default=lambda: False)


class _Steady:
    """Times the steps after the first tenth, in which memory is claimed and kernels are chosen."""

    def __init__(self, device: str) -> None:
        self._watch = Stopwatch(device)
        self._start = (0, 0.0)
        self._end = (0, 0.0)

    def step(self, step: int, total: int) -> None:
        if step == math.ceil(total / 10):
            self._start = (step, self._watch.seconds)
        if step == total:
            self._end = (step, self._watch.seconds)

    @property
    def seconds(self) -> float:
        return self._end[1] - self._start[1]

    def rows(self, batches: list[int]) -> int:
        return sum(batches[self._start[0] : self._end[0]])


# --- ours -------------------------------------------------------------------------------------------------------------


class _Listener(SilentListener):
    """Keeps the curve, and the time of the steady steps."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seconds = 0.0
        self.curve: list[Point] = []
        self.steady = _Steady(plan.device)

    def on_start(self, total_steps: int, device: str, facts: Mapping[str, Any]) -> None:
        self._plan.at_step(0)

    def on_progress(self, step: int, total_steps: int, epoch: float, pairs_per_second: float, seconds: float) -> None:
        self._seconds = seconds
        self.steady.step(step, total_steps)
        self._plan.at_step(step)

    def stop_requested(self) -> str | None:
        return "none" if self._plan.stop() else None

    def on_evaluation(self, point: Mapping[str, Any]) -> None:
        self.curve.append(Point(point["step"], self._seconds, point["value"]))


def train_ours(plan: Plan, config: TrainingConfig) -> Training:
    """Train as a run of the workbench does, by the same function."""
    shutil.rmtree(plan.work, ignore_errors=True)
    pairs = plan.loss == IN_BATCH_NEGATIVES
    rows = _as_pairs(plan.rows) if pairs else plan.rows
    kind = "pairs" if pairs else "scored_pairs"
    recipe = Recipe(str(plan.base), "benchmark", ArchitectureSpec.default(), parse_loss(plan.loss), training=config)
    listener = _Listener(plan)
    parts = Splits(kind, (), rows, plan.validation, None, None, "given", False, 0, ())
    result = run_training(recipe, parts, plan.work, plan.work, listener)
    batches, lengths = _replay(plan, config, rows, result.steps, distinct=pairs)
    return Training(
        seconds=result.seconds,
        steps=result.steps,
        rows=sum(batches),
        steady_seconds=listener.steady.seconds,
        steady_rows=listener.steady.rows(batches),
        padding_fraction=result.padding_fraction,
        lengths=lengths,
        curve=listener.curve,
        encode=lambda texts: SentenceTransformer(plan.work / "model", device=plan.device).encode(texts),
        batches=batches,
    )


def _replay(plan: Plan, config: TrainingConfig, rows: Dataset, steps: int, distinct: bool) -> tuple[list[int], list[int]]:
    """Return the rows of each batch and the tokens of each text embedded: batches follow from the seed alone."""
    columns = [list(rows[name]) for name in rows.column_names if name != "score"]
    tokens = Tokens(SentenceTransformer(plan.base, device="cpu"), columns)
    sampler = ShuffledBatches(tokens, config.batch_size, config.seed, distinct=distinct)
    collate = Collate(tokens, None)
    sizes: list[int] = []
    lengths: list[int] = []
    for epoch in range(math.ceil(steps / len(sampler))):
        sampler.set_epoch(epoch)
        for batch in list(sampler)[: steps - len(sizes)]:
            sizes.append(len(batch))
            lengths += [len(ids) for ids in collate(batch).token_ids]
    return sizes, lengths


# --- theirs -----------------------------------------------------------------------------------------------------------


class _Callback(TrainerCallback):
    """Evaluates every so many steps, off the clock, and keeps the time of the steady steps."""

    def __init__(self, plan: Plan, encode: Encode, eval_steps: int | None) -> None:
        self._plan = plan
        self._encode = encode
        self._eval_steps = eval_steps
        self._validation = None if plan.validation is None else scored_pairs_evaluator(plan.validation)
        self.curve: list[Point] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.watch = Stopwatch(self._plan.device)
        self.steady = _Steady(self._plan.device)
        with self.watch.paused():
            self._evaluate(0)
            self._plan.at_step(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.steady.step(state.global_step, state.max_steps)
        self._plan.at_step(state.global_step)
        control.should_training_stop = control.should_training_stop or self._plan.stop()
        if self._eval_steps and (state.global_step % self._eval_steps == 0 or state.global_step == state.max_steps):
            seconds = self.watch.seconds
            with self.watch.paused():
                self._evaluate(state.global_step, seconds)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds = self.watch.seconds

    def _evaluate(self, step: int, seconds: float = 0.0) -> None:
        if self._validation is not None:
            self.curve.append(Point(step, seconds, self._validation(self._encode).value))


def train_theirs(plan: Plan, settings: Mapping[str, Any], micro_batch_size: int | None = None) -> Training:
    """Train with SentenceTransformerTrainer.

    Args:
        plan: What is trained on.
        settings: Arguments that are not their defaults; `eval_steps` is taken out and kept by the callback.
        micro_batch_size: Texts embedded at a time, by their cached loss; None for the plain loss.
    """
    from sentence_transformers import SentenceTransformer as Theirs
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments, losses

    shutil.rmtree(plan.work, ignore_errors=True)
    model = Theirs(str(plan.base), device=plan.device)
    if micro_batch_size is None:
        loss = getattr(losses, plan.loss)(model)
    else:
        loss = getattr(losses, f"Cached{plan.loss}")(model, mini_batch_size=micro_batch_size)
    own = dict(settings)
    callback = _Callback(plan, lambda texts: model.encode(texts, show_progress_bar=False), own.pop("eval_steps", None))
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(plan.work),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=plan.device == "cpu",
        **own,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several visible GPUs would wrap the model in DataParallel
    rows = _as_pairs(plan.rows) if plan.loss == IN_BATCH_NEGATIVES else plan.rows
    trainer = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=loss, callbacks=[callback])
    trainer.remove_callback(transformers.PrinterCallback)
    count = TokenCount()
    hook = model[0].register_forward_pre_hook(
        lambda module, inputs: count.add(inputs[0]["attention_mask"]) if module.training else None
    )
    trainer.train()
    hook.remove()
    batches = _their_batches(len(rows), arguments.per_device_train_batch_size, trainer.state.global_step)
    return Training(
        seconds=callback.seconds,
        steps=trainer.state.global_step,
        rows=sum(batches),
        steady_seconds=callback.steady.seconds,
        steady_rows=callback.steady.rows(batches),
        padding_fraction=count.padding_fraction,
        lengths=count.lengths,
        curve=callback.curve,
        encode=lambda texts: model.encode(texts, show_progress_bar=False),
        batches=batches,
    )


def same_settings(config: TrainingConfig, rows: int) -> dict[str, Any]:
    """Return the arguments that make their training that of a config: optimiser, schedule, precision, steps.

    Args:
        config: Ours; its learning rate is a number, its precision fp32 or bf16.
        rows: Training rows.
    """
    total = config.total_steps(math.ceil(rows / config.batch_size))
    settings = {
        "per_device_train_batch_size": config.batch_size,
        "max_steps": total,
        "learning_rate": config.learning_rate,
        "warmup_steps": math.ceil(config.warmup_ratio * total),
        "lr_scheduler_type": "linear",
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "optim": "adamw_torch_fused",
        "seed": config.seed,
        "bf16": config.precision == "bf16",
        # What ours does in a run of this length.
        "logging_steps": max(1, total // 2000),
    }
    return settings


def _their_batches(rows: int, size: int, steps: int) -> list[int]:
    """Return the rows of each of their batches: full ones, and what is left at the end of each epoch."""
    epoch = [min(size, rows - start) for start in range(0, rows, size)]
    return [epoch[step % len(epoch)] for step in range(steps)]


def scored_pairs_evaluator(rows: Dataset) -> Any:
    """Return the evaluator of some scored pairs, which measures both sides."""
    return build_evaluator("scored_pairs", [list(rows["sentence1"]), list(rows["sentence2"])], list(rows["score"]))


def _as_pairs(rows: Dataset) -> Dataset:
    """Return scored pairs as anchors and positives, whatever their scores: for measuring cost, not quality."""
    return Dataset.from_dict({"anchor": list(rows["sentence1"]), "positive": list(rows["sentence2"])})
