"""One training run, from a frozen recipe and three parts of data to a model folder and a verdict."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch.distributed import get_node_local_rank
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from workbench.data.issues import rows_word
from workbench.data.texts import TextColumn, TextsOf, read_numbers, spread_texts
from workbench.errors import ConfigError, RunError
from workbench.evaluation import Evaluation, Evaluator, Verdict, build_evaluator, compute_verdict, encode_batch
from workbench.evaluation.verdict import not_judged
from workbench.losses import build_loss
from workbench.models import SentenceTransformer, build_network
from workbench.models.attention_gpu import leave_cudnn_out
from workbench.models.bases import SCRATCH
from workbench.models.kept import NUMBERED, drop_model, keep_model, kept_model, mend_model
from workbench.models.numerics import fast_float32, wait_for
from workbench.models.transformer import PACKED_FAMILIES
from workbench.recipe import KINDS, Recipe, TrainingConfig
from workbench.recipe.training import LEAST_VALIDATION_ROWS
from workbench.training import memory
from workbench.training.batch import Collate
from workbench.training.cross_validation import CrossValidation
from workbench.training.cuda_graphs import graph_steps
from workbench.training.distributed import ALONE, ProcessGroup, init_process_group
from workbench.training.embedding import Padding
from workbench.training.embedding_rows import find_occurring_words
from workbench.training.listener import Listener
from workbench.training.outcome import Outcome
from workbench.training.periodic_evaluation import PeriodicEvaluation
from workbench.training.precision import Precision, choose_precision
from workbench.training.remembered import RememberedTexts
from workbench.training.sampler import ShuffledBatches
from workbench.training.token_cache import TokenCache
from workbench.training.tokens import Tokens
from workbench.training.trainer import SentenceTrainer, TrainedNetwork
from workbench.writing import describe_refusal, is_disk_full, write_json

if TYPE_CHECKING:
    from datasets import Dataset

    from workbench.data import Splits

_CURVE_POINTS = 2000
_STEPS_BETWEEN_WAITS = 10
_COMPARED_ROWS = 10_000
"""Validation rows that are measured at every evaluation, a dozen times a run; a search over many more would outlast the training."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Attributes:
        status: `completed` or `stopped`.
        steps: Optimiser steps taken.
        seconds: Training loop, tokenising and loading included, evaluation and saving not.
        pairs_per_second: Training rows over those seconds.
        padding_fraction: Padded over all token positions computed.
        metrics: `before` and `after` on the test part; None where not measured.
        primary_metric: The metric of selection and verdict.
        verdict: Tuned against base.
        device: Where it ran.
        precision: What the encoder computed in while training: `fp32`, `bf16` or `fp16`.
        best_step: The step whose weights were kept; None if none were.
        general: The forgetting check; None where it was not made.
        unrelated_cosine: Mean cosine of unrelated general texts, `before` and `after`; None where not measured.
        threshold: The cosine from which on texts count as a match for the tuned model; None where there is none.
        warnings: What to know before trusting the rest, as `kind` and `message`.
    """

    status: str
    steps: int
    seconds: float
    pairs_per_second: float
    padding_fraction: float
    metrics: Mapping[str, Mapping[str, float] | None]
    primary_metric: str
    verdict: Mapping[str, Any]
    device: str
    precision: str
    best_step: int | None
    general: Mapping[str, Any] | None = None
    unrelated_cosine: Mapping[str, float] | None = None
    threshold: float | None = None
    warnings: tuple[Mapping[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


class _Stopwatch:
    """Runs from its making on, except while paused.

    A GPU works off what it was given long after it was given: before a pause and before the last reading it is waited for, or a step
    would be counted to the evaluation behind it.

    Args:
        device: Where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._start = time.perf_counter()
        self._paused = 0.0

    @property
    def seconds(self) -> float:
        """So far, by what the device was given."""
        return time.perf_counter() - self._start - self._paused

    def stop(self) -> float:
        """Wait for the device and return the seconds."""
        wait_for(self._device)
        return self.seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        wait_for(self._device)
        start = time.perf_counter()
        try:
            yield
        finally:
            wait_for(self._device)
            self._paused += time.perf_counter() - start


def run_training(recipe: Recipe, parts: Splits, home: Path, output_dir: Path, listener: Listener) -> TrainingResult | None:
    """Train, keep the best model on the validation part, and compare it with its base on the test part.

    With several `devices` it is called in each of as many processes; the first one measures and saves while the others wait for
    it, and its listener alone decides about a stop.

    Args:
        recipe: Architecture and loss settled.
        parts: The data, split.
        home: The workbench's home, where base encoders are looked up.
        output_dir: Gets `model` (see `workbench.models.kept`), `evaluations/`, and `base/` where the base has no folder of its own.
        listener: Is told everything, and may ask for a stop.

    Returns:
        How it ended; None in the second and further processes.

    Raises:
        WorkbenchError: If the recipe cannot run here: no such device, no such base, nothing to train on.
    """
    assert recipe.architecture is not None and recipe.loss is not None, "a recipe is settled before it runs"
    config = recipe.training
    device = choose_device(config)
    leave_cudnn_out()
    processes = init_process_group(device, config.devices, output_dir)
    set_seed(config.seed)
    transformers.utils.logging.disable_progress_bar()
    for note in parts.notes:
        listener.on_message(note)
    roles = KINDS[parts.kind]
    columns = [parts.train[role] for role in roles.texts]  # read from the disk a chunk at a time
    labels = None if roles.label is None else read_numbers(parts.train, roles.label)
    model, base = build_network(recipe.base, recipe.architecture, home, TextsOf(columns), config.seed, device)
    if recipe.base == SCRATCH:
        base.save(output_dir / "base")
    compared = compared_rows(parts, listener)
    validation, test = (
        None if part is None or not processes.is_main else build_evaluator(parts.kind, *columns_of(parts.kind, part))
        for part in (compared, parts.test)
    )

    cross_validation = CrossValidation(recipe, parts)
    cross_validation.announce(listener)
    selects = validation is not None and validation.rows >= LEAST_VALIDATION_ROWS
    warnings = warn_of_few_rows(validation, listener)

    watch = _Stopwatch(device)
    tokens = processes.main_process_first(lambda: Tokens(model, columns, TokenCache(home)))
    if tokens.cached:
        listener.on_message("An earlier run tokenised the same texts with the same tokenizer; its tokens were taken.")
    warnings += _not_read(model, columns, tokens, recipe.base == SCRATCH, listener)
    loss = build_loss(recipe.loss, model.get_sentence_embedding_dimension(), len(parts.classes)).to(device)
    batches = ShuffledBatches(tokens, config.batch_size, config.seed, distinct=recipe.loss.entry.in_batch_negatives)
    collate = Collate(tokens, labels)
    steps_per_epoch = len(batches)
    total = config.total_steps(steps_per_epoch)
    learning_rate = config.learning_rate_for(recipe.base != SCRATCH, model.encoder.get_word_embedding_dimension())
    primary = KINDS[parts.kind].primary_metric
    precision = choose_precision(config.precision, device, model.encoder.get_word_embedding_dimension())

    outcome = Outcome(parts, recipe.base, output_dir / "evaluations", evaluate)
    with watch.paused():
        if processes.is_main:
            outcome.measure_base(base)  # by `evaluate`, which explains a want of memory
        before = None if test is None else evaluate(base, test)
        baseline = None if validation is None else evaluate(base, validation)
    if processes.is_main:
        write_json(output_dir / "evaluations" / "before.json", record(before))
    where = str(device) if processes.size == 1 else f"{processes.size} x {device.type}"
    packing = "packed without padding" if model.encoder.packs else "padded, sorted by length"
    listener.on_message(
        f"Training on {where}: {tokens.rows:,} rows, {total:,} steps, learning rate {learning_rate:g}; batches are {packing}."
    )
    listener.on_message(precision.sentence)
    listener.on_start(
        total,
        where,
        {
            "rows": tokens.rows,
            "validation_rows": 0 if validation is None else validation.rows,
            "test_rows": 0 if test is None else test.rows,
            "learning_rate": learning_rate,
            "precision": precision.name,
            "steps_per_epoch": steps_per_epoch,
            "kind": parts.kind,
            "primary_metric": primary,
            "baseline": None if baseline is None else baseline.value,
            "num_parameters": sum(weight.numel() for weight in model.parameters()),
        },
    )

    model.encoder.freeze_pooler()
    network = TrainedNetwork(
        model, loss, processes, config.micro_batch_size, find_occurring_words(model, tokens, config.weight_decay)
    )
    insight = PeriodicEvaluation(parts.kind, validation, recipe.watch if processes.is_main else (), output_dir / "evaluations")
    progress = _Progress(
        network, insight, selects, output_dir, config.eval_interval(total), steps_per_epoch, listener, watch, processes
    )
    trainer = SentenceTrainer(
        network,
        batches,
        collate,
        precision,
        graphs=graph_steps(config, model, network, device, processes, total, listener.on_message),
        args=_arguments(config, device, precision, total, learning_rate, model.encoder.family, output_dir),
        callbacks=[progress],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.remove_callback(transformers.trainer_callback.ProgressCallback)
    progress.trainer = trainer
    with watch.paused():
        progress.evaluate(0)
    if not processes.is_main:
        set_seed(config.seed + processes.rank)  # dropout must not hit every share alike
    try:
        _train(trainer, processes, config)
    except BaseException:
        if processes.is_main:
            mend_model(output_dir)
        raise
    steps, seconds = int(trainer.state.global_step), watch.stop()
    positions, padded = processes.sum(network.padding.positions, network.padding.padded)
    processes.close()
    if not processes.is_main:
        return None
    shutil.rmtree(output_dir / "checkpoints", ignore_errors=True)
    progress.finish(steps)

    kept = kept_model(output_dir)
    tuned = None if progress.kept_step is None or kept is None else SentenceTransformer(kept, device=device)
    after = None if test is None or tuned is None else evaluate(tuned, test)
    write_json(output_dir / "evaluations" / "after.json", record(after))
    findings = outcome.write(tuned, validation, baseline, before, after)
    verdict = judge(parts, primary, before, after)
    if cross_validation.applies and progress.keep is None:
        verdict = cross_validation.run(
            lambda rows, evaluator, seed: _train_fold(recipe, parts, rows, evaluator, seed, home, device, output_dir, listener),
            output_dir / "evaluations",
            listener,
            primary,
        )
        progress.stop_late(listener.stop_requested())
    write_json(output_dir / "evaluations" / "verdict.json", verdict.to_dict())
    listener.on_message(verdict.sentence)
    listener.on_message(findings.general.sentence)
    return TrainingResult(
        status="stopped" if progress.keep is not None else "completed",
        steps=steps,
        seconds=round(seconds, 3),
        pairs_per_second=round(trainer.rows_seen / seconds, 2) if seconds > 0 else 0.0,
        padding_fraction=round(Padding(positions, padded).fraction, 6),
        metrics={
            "before": None if before is None else dict(before.metrics),
            "after": None if after is None else dict(after.metrics),
        },
        primary_metric=primary,
        verdict=verdict.to_dict(),
        device=where,
        precision=precision.name,
        best_step=progress.kept_step,
        general=findings.general.to_dict() if findings.general.pairs else None,
        unrelated_cosine=findings.general.unrelated_cosine,
        threshold=findings.threshold,
        warnings=warnings,
    )


def _not_read(
    model: SentenceTransformer, columns: Sequence[TextColumn], tokens: Tokens, learned: bool, listener: Listener
) -> tuple[Mapping[str, str], ...]:
    """Return and tell the warnings of texts that the encoder does not read as what they are.

    Args:
        model: The network.
        columns: The texts it is trained on.
        tokens: All of them, tokenised.
        learned: Whether the encoder's tokens were learned from them.
        listener: Is told.
    """
    found = []
    if tokens.truncated:
        texts = "text is" if tokens.truncated == 1 else "different texts are"
        words = f"{tokens.truncated:,} {texts} longer than the {model.max_seq_length:,} tokens that are read, and cut off there."
        found.append({"kind": "cut_texts", "message": words})
    counts = model.count_tokens(spread_texts(columns), learned)
    found += [{"kind": f"{kind}_texts", "message": text} for kind, text in counts.findings("this encoder") if kind != "cut"]
    for warning in found:
        listener.on_message(warning["message"])
    return tuple(found)


def warn_of_few_rows(validation: Evaluator | None, listener: Listener) -> tuple[Mapping[str, str], ...]:
    """Return and tell the warning of a validation part that is too small to pick a step on, if it is."""
    if validation is None or validation.rows >= LEAST_VALIDATION_ROWS:
        return ()
    message = (
        f"The validation part has {rows_word(validation.rows)}, and under {LEAST_VALIDATION_ROWS} the best step is luck: none is "
        "picked, the last one is kept."
    )
    listener.on_message(message)
    return ({"kind": "few_validation_rows", "message": message},)


def _train_fold(
    recipe: Recipe,
    parts: Splits,
    rows: Dataset,
    evaluator: Evaluator,
    seed: int,
    home: Path,
    device: torch.device,
    output_dir: Path,
    listener: Listener,
) -> tuple[Evaluation, Evaluation] | None:
    """Train on some rows as the run does, and measure the base and the model of the last step.

    Args:
        recipe: Of the run.
        parts: Of the run; names its kind and classes.
        rows: To train on.
        evaluator: Measures the rows left out.
        seed: Of weights, order and dropout.
        home: The workbench's home.
        device: Where to compute.
        output_dir: Of the run; nothing of this training stays there.
        listener: Is told that the run lives, and asked for a stop.

    Returns:
        Both measurements; None where a stop was asked for.
    """
    assert recipe.architecture is not None and recipe.loss is not None
    if listener.stop_requested() is not None:
        return None
    config = recipe.training
    set_seed(seed)
    roles = KINDS[parts.kind]
    columns = [rows[role] for role in roles.texts]
    labels = None if roles.label is None else read_numbers(rows, roles.label)
    model, base = build_network(recipe.base, recipe.architecture, home, TextsOf(columns), seed, device)
    before = evaluate(base, evaluator)
    tokens = Tokens(model, columns)
    loss = build_loss(recipe.loss, model.get_sentence_embedding_dimension(), len(parts.classes)).to(device)
    batches = ShuffledBatches(tokens, config.batch_size, seed, distinct=recipe.loss.entry.in_batch_negatives)
    total = config.total_steps(len(batches))
    width = model.encoder.get_word_embedding_dimension()
    learning_rate = config.learning_rate_for(recipe.base != SCRATCH, width)
    precision = choose_precision(config.precision, device, width)
    words = find_occurring_words(model, tokens, config.weight_decay)
    network = TrainedNetwork(model, loss, ALONE, config.micro_batch_size, words)
    pulse = _Pulse(listener.on_pulse, listener.stop_requested)
    arguments = _arguments(config, device, precision, total, learning_rate, model.encoder.family, output_dir)
    graphs = graph_steps(config, model, network, device, ALONE, total, lambda text: None)  # the run has said it
    trainer = SentenceTrainer(
        network, batches, Collate(tokens, labels), precision, graphs=graphs, args=arguments, callbacks=[pulse]
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.remove_callback(transformers.trainer_callback.ProgressCallback)
    _train(trainer, ALONE, config)
    shutil.rmtree(output_dir / "checkpoints", ignore_errors=True)
    if pulse.stopped:
        return None
    network.sync_embedding_rows()
    return before, evaluate(model, evaluator)


class _Pulse(TrainerCallback):
    """Tells at each step that the run lives, and ends a training when a stop is asked for."""

    def __init__(self, beat: Callable[[], None], stop_requested: Callable[[], str | None]) -> None:
        self._beat = beat
        self._stop_requested = stop_requested
        self.stopped = False

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Report and look for a stop request."""
        self._beat()
        if self._stop_requested() is not None:
            self.stopped = control.should_training_stop = True


def _train(trainer: SentenceTrainer, processes: ProcessGroup, config: TrainingConfig) -> None:
    """Run the loop.

    Raises:
        RunError: If the memory does not suffice, or another process of the run is gone.
    """
    try:
        with fast_float32(trainer.args.device), memory.training(config, trainer.args.device):
            trainer.train()
    except RuntimeError as error:
        lost = processes.explain(error)
        if lost is None:
            raise
        raise lost from None


class _Progress(TrainerCallback):
    """Tells the listener, evaluates, keeps the best model, and stops when asked."""

    trainer: SentenceTrainer

    def __init__(
        self,
        network: TrainedNetwork,
        insight: PeriodicEvaluation,
        selects: bool,
        folder: Path,
        eval_steps: int,
        steps_per_epoch: int,
        listener: Listener,
        watch: _Stopwatch,
        processes: ProcessGroup,
    ) -> None:
        self._network = network
        self._encode = RememberedTexts(network.model)
        self._insight = insight
        self._selects = selects
        self._folder = folder
        self._eval_steps = eval_steps
        self._steps_per_epoch = steps_per_epoch
        self._listener = listener
        self._watch = watch
        self._processes = processes
        self._best = -np.inf
        self._last_evaluated = -1
        self.kept_step: int | None = None
        self.keep: str | None = None

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any) -> None:
        """Hand a point of the loss curve on."""
        if logs and "loss" in logs:
            point: dict[str, float | None] = {
                "step": state.global_step,
                "epoch": round(state.global_step / self._steps_per_epoch, 4),
            }
            for name in ("loss", "learning_rate", "grad_norm"):
                value = logs.get(name)
                point[name] = float(value) if value is not None and np.isfinite(value) else None
            if point["loss"] is None:
                raise RunError(
                    f"The loss is no longer a number at step {state.global_step}; lower `learning_rate`, or use `precision` fp32.",
                    field="learning_rate",
                )
            self._listener.on_train(point)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Report, look for a stop request, evaluate when it is time."""
        step = state.global_step
        seconds = self._watch.seconds
        self._listener.on_progress(
            step, state.max_steps, step / self._steps_per_epoch, self.trainer.rows_seen / max(seconds, 1e-9), seconds
        )
        self.keep = self._processes.broadcast(self._listener.stop_requested())
        if self.keep is not None:
            control.should_training_stop = True
        elif step % self._eval_steps == 0 or step >= state.max_steps:
            with self._watch.paused():
                self.evaluate(step)

    def evaluate(self, step: int) -> None:
        """Record the watch-list, measure on the validation part, and keep the model if it is the best so far, the earlier one of equals."""
        if step == self._last_evaluated:
            return
        self._last_evaluated = step
        self._network.sync_embedding_rows()
        self._check_weights(step)
        model = self._network.model
        with memory.measuring("the model in the middle of its training", model.device):
            measured = self._insight.measure(self._encode, step)
        if measured is None:
            return
        result, further = measured
        # What cannot be measured (all vectors alike, say) picks no step.
        best = self._selects and bool(np.isfinite(result.value)) and result.value > self._best
        self._listener.on_evaluation(
            {
                "step": step,
                "epoch": round(step / self._steps_per_epoch, 4),
                "metrics": dict(result.metrics),
                "primary_metric": result.primary_metric,
                "value": result.value,
                "best": bool(best),
                **further,
            }
        )
        if best:
            self._best = result.value
            self._save(step)

    def finish(self, steps: int) -> None:
        """Leave the model behind that the run, or whoever stopped it, wants."""
        if self.keep == "none":
            drop_model(self._folder)
            self.kept_step = None
        else:
            if self.keep is None:
                self.evaluate(steps)
            if self._selects and self._best == -np.inf:
                self._listener.on_message("The validation part cannot be measured, so no step is picked: the last one is kept.")
            if self.keep == "latest" or self.kept_step is None:
                self._save(steps)
        if self.kept_step is not None:
            which = "the best on the validation part" if self._best > -np.inf and self.keep != "latest" else "the last one"
            self._listener.on_message(f"Kept the model of step {self.kept_step}, {which}.")

    def stop_late(self, keep: str | None) -> None:
        """Heed a stop that came after the last step: only a model that is not wanted has to go."""
        self.keep = keep
        if keep == "none":
            drop_model(self._folder)
            self.kept_step = None

    def _save(self, step: int) -> None:
        """Replace the kept model; at no moment is there no whole one."""
        self._network.sync_embedding_rows()
        self._check_weights(step)
        try:
            keep_model(self._folder, step, self._network.model.save)
        except Exception as error:
            # A full disk reaches us as an OSError, or in the words of safetensors.
            if not isinstance(error, OSError) and not is_disk_full(error):
                raise
            before = f" The model of step {self.kept_step} is still whole in `{self._folder}`." if self.kept_step else ""
            reason = describe_refusal(error, self._folder / NUMBERED)
            raise RunError(f"The model of step {step} could not be saved: {reason}{before}") from None
        self.kept_step = step

    def _check_weights(self, step: int) -> None:
        """Refuse weights that are no numbers before anything is measured with them or saved of them.

        Raises:
            RunError: If there are any.
        """
        if not all(bool(torch.isfinite(weight).all()) for weight in self._network.model.state_dict().values()):
            raise RunError(
                f"A weight of the network is no longer a number at step {step}; lower `learning_rate`, or use `precision` fp32.",
                field="learning_rate",
            )


def choose_device(config: TrainingConfig) -> torch.device:
    """Return the device of a run.

    Raises:
        ConfigError: If the machine has no such device, or it cannot compute in the precision asked for.
    """
    name = config.device.partition(":")[0]
    if name == "auto":
        name = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() and config.devices == 1 else "cpu"
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"`device` {config.device!r} asks for a CUDA GPU, and this machine offers none; use auto or cpu.", field="device"
        )
    if name == "cuda" and config.devices > torch.cuda.device_count():
        raise ConfigError(
            f"`devices` {config.devices} asks for more GPUs than this run can see, which is {torch.cuda.device_count()}; "
            "use as many, or `device` cpu.",
            field="devices",
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("`device` 'mps' asks for an Apple GPU, and this machine offers none; use auto or cpu.", field="device")
    if config.precision == "fp16" and name != "cuda":
        raise ConfigError(
            f"`precision` fp16 needs a CUDA GPU, and this run is on {name}; use auto, bf16 or fp32.", field="precision"
        )
    # The supervisor shows a run only its own GPUs, so an index would count from there.
    return torch.device(name, get_node_local_rank(0)) if name == "cuda" and config.devices > 1 else torch.device(name)


def _arguments(
    config: TrainingConfig,
    device: torch.device,
    precision: Precision,
    total: int,
    learning_rate: float,
    family: str,
    output_dir: Path,
) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(output_dir / "checkpoints"),
        per_device_train_batch_size=config.batch_size,
        max_steps=total,
        learning_rate=learning_rate,
        warmup_steps=int(np.ceil(config.warmup_ratio * total)),
        lr_scheduler_type="linear",
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch_fused" if device.type in {"cpu", "cuda"} else "adamw_torch",
        seed=config.seed,
        bf16=precision.name == "bf16",
        fp16=precision.name == "fp16",
        use_cpu=device.type == "cpu",
        logging_strategy="steps",
        # To log is to fetch the loss, for which a GPU has to be waited for.
        logging_steps=max(1 if device.type == "cpu" else min(_STEPS_BETWEEN_WAITS, total), total // _CURVE_POINTS),
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        # Of these families every weight has a gradient at every step, once the pooler is out of the way; to search costs each step.
        ddp_find_unused_parameters=family not in PACKED_FAMILIES,
        ddp_broadcast_buffers=False,  # nothing writes into them
    )
    # Several visible GPUs without torchrun would wrap the model in DataParallel.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def compared_rows(parts: Splits, listener: Listener) -> Dataset | None:
    """Return the validation rows on which steps are compared."""
    rows = parts.validation
    if rows is None or len(rows) <= _COMPARED_ROWS:
        return rows
    listener.on_message(f"Steps are compared on {_COMPARED_ROWS:,} of the {len(rows):,} validation rows.")
    return rows.select(np.linspace(0, len(rows) - 1, _COMPARED_ROWS).astype(np.int64))


def columns_of(kind: str, part: Any) -> tuple[list[list[str]], NDArray[Any] | None]:
    """Return the text columns and the labels of a part that is held out, which fits into memory."""
    roles = KINDS[kind]
    return [part[role][:] for role in roles.texts], None if roles.label is None else read_numbers(part, roles.label)


def evaluate(model: SentenceTransformer, evaluator: Evaluator) -> Evaluation:
    """Measure a model; a want of memory is explained."""
    with memory.measuring(f"a model on {evaluator.rows:,} rows that it does not train on", model.device):
        return evaluator(lambda texts: model.encode(texts, batch_size=encode_batch(model.device.type)))


def judge(parts: Splits, metric: str, before: Evaluation | None, after: Evaluation | None) -> Verdict:
    """Return the verdict of a run on its test part."""
    if before is None:
        return not_judged(metric, "there is no test part; hold out some rows or give a test file")
    if after is None:
        return not_judged(metric, "no model was kept", before)
    if parts.leaking:
        return not_judged(metric, "the split leaks, so the test rows are no proof", before, after)
    return compute_verdict(before, after, parts.test_groups)


def record(evaluation: Evaluation | None) -> dict[str, Any] | None:
    """Return a measurement as plain JSON data."""
    if evaluation is None:
        return None
    return {"metrics": dict(evaluation.metrics), "primary_metric": evaluation.primary_metric, "rows": evaluation.rows}
