"""How often the verdict says "better" when there is nothing to learn: training runs on the sample pairs with shuffled scores.

    python -m benchmarks.shuffled_labels [--runs 100] [--output benchmarks/shuffled_labels.json]

Each run permutes the scores of all rows, splits by shared sentences with its own seed, trains a BERT of width 32 for a few steps at a
rate that moves it well away from its base, and is judged as every run is. Differences are then luck, and a 95% interval may lie
above zero in 2.5 of 100 runs; more than 5 would mean that the interval is too narrow.

There are two series. With a validation part the best step on it is kept, as a run does by default, and often that is the base itself.
Without one the last step is kept, so every run is judged far from where it began.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, BertTokenizerFast

from benchmarks.measuring import machine, write_json
from workbench.data import Splits, components
from workbench.data.splitting import split_rows, text_ids
from workbench.recipe import ArchitectureSpec, Recipe, TrainingConfig, default_loss
from workbench.runs.worker import SilentListener
from workbench.training import run_training

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_data" / "support_pairs.csv"
ALLOWED = 5
MOVED = 0.01
SETTINGS = {"max_steps": 12, "eval_steps": 6, "batch_size": 16, "learning_rate": 2e-3, "device": "cpu", "precision": "fp32"}
TEST_FRACTION = 0.2
SERIES = {"best step": 0.1, "last step": 0.0}
"""What is kept of a run, and the share of the rows it takes to choose that by."""


def read_sample() -> tuple[list[str], list[str], np.ndarray]:
    """Return first texts, second texts and scores (0 to 1) of the sample pairs."""
    with SAMPLE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    scores = np.array([float(row["score"]) / 5 for row in rows])
    return [row["sentence1"] for row in rows], [row["sentence2"] for row in rows], scores


def write_tiny_encoder(folder: Path, texts: Iterable[str]) -> Path:
    """Write a random two-layer BERT of width 32 with tokens of its own, and return its folder."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=800, special_tokens=specials, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=64).save_pretrained(folder)
    return folder


def shuffled_run(seed: int, kept: str, base: Path, folder: Path) -> dict[str, Any]:
    """Train on shuffled scores and return the verdict.

    Args:
        seed: Of the permutation, the split and the training.
        kept: A key of `SERIES`.
        base: Folder of the encoder.
        folder: Gets the run's files.
    """
    first, second, scores = read_sample()
    shuffled = np.random.default_rng(seed).permutation(scores)
    table = Dataset.from_dict({"sentence1": first, "sentence2": second, "score": shuffled.tolist()})
    split = split_rows(text_ids([first, second]), SERIES[kept], TEST_FRACTION, seed)
    train, validation, test = (table.select(rows) for rows in (split.train, split.validation, split.test))
    parts = Splits(
        kind="scored_pairs",
        classes=(),
        train=train,
        validation=validation if SERIES[kept] else None,
        test=test,
        test_groups=components(test, ("sentence1", "sentence2")),
        method=split.method,
        leaking=split.leaking,
        dropped=split.dropped,
        notes=(),
        test_rows=split.test,
    )
    recipe = Recipe(
        str(base),
        "shuffled",
        ArchitectureSpec.default(),
        default_loss("scored_pairs"),
        training=TrainingConfig(**SETTINGS, seed=seed),
    )
    return dict(run_training(recipe, parts, folder, folder, SilentListener()).verdict)


def measure(runs: int, kept: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the verdict of one run after the other.

    Args:
        runs: How many.
        kept: A key of `SERIES`.
        folder: Gets their files.
    """
    first, second, _ = read_sample()
    base = write_tiny_encoder(folder / "tiny", [*first, *second])
    for seed in range(runs):
        verdict = shuffled_run(seed, kept, base, folder / f"run-{seed}")
        yield {"seed": seed, **{key: verdict[key] for key in ("outcome", "before", "after", "difference", "interval", "rows")}}


def summary(verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the verdicts of a series with how often each outcome came up, and how many runs moved by more than `MOVED`."""
    return {
        "runs": len(verdicts),
        "outcomes": dict(Counter(verdict["outcome"] for verdict in verdicts)),
        "moved": sum(abs(verdict["difference"]) > MOVED for verdict in verdicts),
        "verdicts": verdicts,
    }


def main() -> None:
    """Measure both series, print the counts and write the file, again after every run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    started = time.perf_counter()
    found: dict[str, Any] = {"allowed_better_of_100": ALLOWED, "settings": SETTINGS, "machine": machine(), "series": {}}
    for kept in SERIES:
        verdicts: list[dict[str, Any]] = []
        with tempfile.TemporaryDirectory() as folder:
            for verdict in measure(options.runs, kept, Path(folder)):
                verdicts.append(verdict)
                found["series"][kept] = summary(verdicts)
                found["seconds"] = round(time.perf_counter() - started, 1)
                write_json(found, options.output)
        print(f"{kept}: {found['series'][kept]['outcomes']}; better may come up at most {ALLOWED} times in 100", flush=True)


if __name__ == "__main__":
    main()
