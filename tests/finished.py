"""A run that has ended, without training anything: two given models, measured and written down as a run does."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from workbench.data import open_splits
from workbench.evaluation import Evaluation, Evaluator, build_evaluator, compute_verdict
from workbench.recipe import KINDS, Recipe, TrainingConfig
from workbench.runs import Run, get_run, store, submit
from workbench.runs.database import open_database
from workbench.training.outcome import Outcome

WIDTH = 16


def text_model(noise: float) -> Callable[[list[str]], np.ndarray]:
    """A model that knows the words of a text, and each text's own noise."""

    def encode(texts: list[str]) -> np.ndarray:
        vectors = []
        for text in texts:
            words = sum(_vector(word) for word in text.casefold().split())
            vectors.append(words / np.linalg.norm(words) + noise * _vector(f"#{text}") / WIDTH**0.5)
        return np.array(vectors, dtype=np.float32)

    return encode


def _vector(text: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=WIDTH)


def measure(model: Callable[[list[str]], np.ndarray], evaluator: Evaluator) -> Evaluation:
    """How a run measures a model."""
    return evaluator(model)


def write_rows(path: Path, header: tuple[str, ...], rows: list[tuple]) -> Path:
    """Write a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def finish(recipe: Recipe, home: Path) -> Run:
    """Queue a recipe and end its run: the base is a noisy model of words, the tuned one less so."""
    run = submit(recipe, home, start=False)
    parts = open_splits(run.recipe(), home)
    kind = KINDS[parts.kind]

    def evaluator(part) -> Evaluator:
        return build_evaluator(
            parts.kind, [list(part[role]) for role in kind.texts], list(part[kind.label]) if kind.label else None
        )

    base, tuned = text_model(1.0), text_model(0.3)
    validation, test = evaluator(parts.validation), evaluator(parts.test)
    before, after = test(base), test(tuned)
    outcome = Outcome(parts, "a given model", run.folder / "evaluations", measure)
    outcome.measure_base(base)
    findings = outcome.write(tuned, validation, validation(base), before, after)
    verdict = compute_verdict(before, after, parts.test_groups)
    columns = {
        "metrics": {"before": dict(before.metrics), "after": dict(after.metrics)},
        "primary_metric": after.primary_metric,
        "verdict": verdict.to_dict(),
        "result": {
            "general": findings.general.to_dict(),
            "unrelated_cosine": findings.general.unrelated_cosine,
            "threshold": findings.threshold,
            "warnings": [],
        },
    }
    with open_database(home) as connection:
        assert store.transition(connection, run.run_id, "running")
        assert store.transition(connection, run.run_id, "completed", columns)
    return get_run(run.run_id, home)


def scored_run(home: Path, tmp_path: Path, sentences: list[str], **changes) -> Run:
    """A finished run on 160 scored pairs on a scale from 0 to 5 that share no sentence."""
    rows = [
        (sentences[index], f"{sentences[index] if index % 2 else sentences[index - 40]} number {index}", index % 6)
        for index in range(160)
    ]
    rows[0] = ("=1+1 is a formula", "<b>bold</b> text", 5)
    path = write_rows(tmp_path / "scored.csv", ("sentence1", "sentence2", "score"), rows)
    training = TrainingConfig(max_steps=2, batch_size=8, device="cpu", test_fraction=0.4, validation_fraction=0.2)
    return finish(
        Recipe(
            **{"base": "scratch", "data": str(path), "training": training, "name": "Finished", "score_scale": (0, 5), **changes}
        ),
        home,
    )


def read_jsonl(path: Path) -> list[dict]:
    """Return the lines of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
