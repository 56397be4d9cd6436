"""Measuring a finished run's models once more, on test rows that were put right. Nothing is trained: the model stays the same."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import transformers

from workbench.data.texts import TextsOf
from workbench.errors import RunError
from workbench.evaluation import build_evaluator
from workbench.models import SentenceTransformer, build_network
from workbench.models.attention_gpu import leave_cudnn_out
from workbench.models.kept import drop_model, keep_model, kept_model, kept_step
from workbench.recipe import KINDS, Recipe
from workbench.training.cross_validation import CrossValidation
from workbench.training.listener import Listener
from workbench.training.outcome import Outcome
from workbench.training.run import (
    TrainingResult,
    choose_device,
    columns_of,
    compared_rows,
    evaluate,
    judge,
    record,
    run_training,
    warn_of_few_rows,
)
from workbench.writing import write_json

if TYPE_CHECKING:
    from workbench.data import Splits


def measure_again(
    recipe: Recipe, parts: Splits, home: Path, output_dir: Path, listener: Listener, trained: Path
) -> TrainingResult | None:
    """Compare a run's model with its base on the test part, as `run_training` does at its end.

    A set so small that its verdict takes further trainings, in which the rows that were put right take part, is trained on again.

    Args:
        recipe: Of the run that trained the model, but for the test rows.
        parts: The data, split.
        home: The workbench's home, where base encoders are looked up.
        output_dir: Gets a copy of the `model`, `evaluations/`, and `base/` where the base has no folder of its own.
        listener: Is told everything, and may ask for a stop.
        trained: Folder of the run that trained the model.

    Returns:
        What was found; its training took no step and no second.

    Raises:
        RunError: If the model is gone.
    """
    if CrossValidation(recipe, parts).applies:
        listener.on_message("The verdict on so few rows takes trainings of its own, so this run trains.")
        return run_training(recipe, parts, home, output_dir, listener)
    model = kept_model(trained)
    if model is None:
        raise RunError("The model that was to be measured again is gone; train once more with the corrected data set.")
    assert recipe.architecture is not None
    device = choose_device(recipe.training)
    leave_cudnn_out()
    transformers.utils.logging.disable_progress_bar()
    for note in parts.notes:
        listener.on_message(note)
    listener.on_message(
        "Only test rows were corrected, so the model is the same: nothing is trained, both models are measured again."
    )
    step = kept_step(model)
    keep_model(output_dir, step, partial(_copy, model))
    if (trained / "base").is_dir():
        shutil.copytree(trained / "base", output_dir / "base", dirs_exist_ok=True)
    texts = TextsOf([parts.train[role] for role in KINDS[parts.kind].texts])
    _, base = build_network(recipe.base, recipe.architecture, home, texts, recipe.training.seed, device)
    tuned = SentenceTransformer(model, device=device)
    validation, test = (
        None if part is None else build_evaluator(parts.kind, *columns_of(parts.kind, part))
        for part in (compared_rows(parts, listener), parts.test)
    )
    warnings = warn_of_few_rows(validation, listener)
    primary = KINDS[parts.kind].primary_metric
    outcome = Outcome(parts, recipe.base, output_dir / "evaluations", evaluate)
    outcome.measure_base(base)
    before, baseline = (None if part is None else evaluate(base, part) for part in (test, validation))
    listener.on_start(
        0,
        str(device),
        {
            "validation_rows": 0 if validation is None else validation.rows,
            "test_rows": 0 if test is None else test.rows,
            "kind": parts.kind,
            "primary_metric": primary,
            "baseline": None if baseline is None else baseline.value,
            "num_parameters": sum(weight.numel() for weight in tuned.parameters()),
        },
    )
    after = None if test is None else evaluate(tuned, test)
    folder = output_dir / "evaluations"
    findings = outcome.write(tuned, validation, baseline, before, after)
    verdict = judge(parts, primary, before, after)
    for name, found in (("before", record(before)), ("after", record(after)), ("verdict", verdict.to_dict())):
        write_json(folder / f"{name}.json", found)
    listener.on_message(verdict.sentence)
    listener.on_message(findings.general.sentence)
    keep = listener.stop_requested()
    if keep == "none":
        drop_model(output_dir)
    return TrainingResult(
        status="completed" if keep is None else "stopped",
        steps=0,
        seconds=0.0,
        pairs_per_second=0.0,
        padding_fraction=0.0,
        metrics={
            "before": None if before is None else dict(before.metrics),
            "after": None if after is None else dict(after.metrics),
        },
        primary_metric=primary,
        verdict=verdict.to_dict(),
        device=str(device),
        precision="fp32",
        best_step=None if keep == "none" else step,
        general=findings.general.to_dict() if findings.general.pairs else None,
        unrelated_cosine=findings.general.unrelated_cosine,
        threshold=findings.threshold,
        warnings=warnings,
    )


def _copy(model: Path, folder: Path) -> None:
    shutil.copytree(model, folder)
