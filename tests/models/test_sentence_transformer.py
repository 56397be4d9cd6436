"""The core API: the two programs of the Training Overview, encoding, and the real MiniLM both ways."""

from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.errors import ConfigError, ModelError, WorkbenchError
from workbench.models import SentenceTransformer as Model

OVERVIEW_MEAN = """
from {library} import SentenceTransformer, models

word_embedding_model = models.Transformer({path!r}, max_seq_length=256)
pooling_model = models.Pooling(word_embedding_model.get_word_embedding_dimension())

model = SentenceTransformer(modules=[word_embedding_model, pooling_model])
"""

OVERVIEW_DENSE = """
from {library} import SentenceTransformer, models
from torch import nn

word_embedding_model = models.Transformer({path!r}, max_seq_length=256)
pooling_model = models.Pooling(word_embedding_model.get_word_embedding_dimension())
dense_model = models.Dense(in_features=pooling_model.get_sentence_embedding_dimension(), out_features=256, activation_function=nn.Tanh())

model = SentenceTransformer(modules=[word_embedding_model, pooling_model, dense_model])
"""


def run_program(program: str, library: str, path: Path) -> object:
    torch.manual_seed(3)
    names: dict = {}
    exec(program.format(library=library, path=str(path)), names)
    return names["model"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("program", "width"), [(OVERVIEW_MEAN, 384), (OVERVIEW_DENSE, 256)])
def test_the_overview_programs_run_with_only_the_import_changed(
    program: str, width: int, minilm: Path, sentences: list[str]
) -> None:
    ours, theirs = (run_program(program, library, minilm) for library in ("workbench", "sentence_transformers"))
    mine, wanted = ours.encode(sentences[:16]), theirs.encode(sentences[:16])
    assert mine.shape == (16, width) and mine.dtype == np.float32
    assert np.abs(mine - wanted).max() < 1e-5


def awkward(sentences: list[str]) -> list[str]:
    return [*sentences[:40], "", "   ", "ÄÖÜ ß 日本語 🙂", "a\nb\tc", "word " * 700, sentences[0], "Ends with space "]


def test_minilm_read_here_and_written_here(minilm: Path, sentences: list[str], tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer as Oracle

    ours, theirs = Model(minilm, device="cpu"), Oracle(str(minilm), device="cpu")
    texts = awkward(sentences)
    wanted = theirs.encode(texts)
    assert ours.encoder.packs
    assert np.abs(ours.encode(texts) - wanted).max() < 1e-5
    ours.save(tmp_path / "ours")
    assert np.abs(Oracle(str(tmp_path / "ours"), device="cpu").encode(texts) - wanted).max() < 1e-5
    theirs.save(str(tmp_path / "theirs"))
    again = Model(tmp_path / "theirs", device="cpu")
    assert np.abs(again.encode(texts) - wanted).max() < 1e-5
    assert ours.max_seq_length == theirs.max_seq_length == again.max_seq_length == 256


def test_similarity_takes_vectors_of_two_devices(tiny_bert: Path) -> None:
    model = Model(tiny_bert, device="cpu")
    here, there = torch.ones(2, 3), torch.ones(4, 3, device="meta")
    for name in ("cosine", "dot", "euclidean", "manhattan"):
        model.similarity_fn_name = name
        assert model.similarity(there, here).device.type == "meta" and model.similarity(there, here).shape == (4, 2)
        assert model.similarity(there, here.numpy()).shape == (4, 2)


def test_token_ids_equal_sentence_transformers(minilm: Path, sentences: list[str]) -> None:
    from sentence_transformers import SentenceTransformer as Oracle

    texts = awkward(sentences)
    theirs = Oracle(str(minilm), device="cpu").tokenize(texts)
    wanted = [ids[mask.bool()].tolist() for ids, mask in zip(theirs["input_ids"], theirs["attention_mask"], strict=True)]
    assert Model(minilm, device="cpu").tokenize(texts) == wanted


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 1},
        {"batch_size": 7},
        {"normalize_embeddings": True},
        {"truncate_dim": 11},
        {"truncate_dim": 11, "normalize_embeddings": True},
        {"prompt": "please "},
        {"prompt_name": "query"},
    ],
)
def test_encode_options(tiny_bert: Path, sentences: list[str], options: dict) -> None:
    from sentence_transformers import SentenceTransformer as Oracle

    ours, theirs = Model(tiny_bert, device="cpu"), Oracle(str(tiny_bert), device="cpu")
    ours.prompts, theirs.prompts = {"query": "check my "}, {"query": "check my "}
    assert np.abs(ours.encode(sentences[:30], **options) - theirs.encode(sentences[:30], **options)).max() < 2e-6


def test_encode_shapes_and_order(tiny_bert: Path, sentences: list[str]) -> None:
    model = Model(tiny_bert, device="cpu")
    model.train()
    together = model.encode(sentences[:20] + sentences[:3])
    assert model.training, "encoding leaves the mode as it was"
    assert np.array_equal(together[20:], together[:3])
    assert model.encode(sentences[4]).shape == (32,)
    assert np.abs(model.encode(sentences[4]) - together[4]).max() < 2e-6
    assert model.encode([]).shape == (0, 32)
    tensor = model.encode(sentences[:2], convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor) and not tensor.is_inference()


def test_wrong_texts_and_prompts_are_named(tiny_bert: Path) -> None:
    model = Model(tiny_bert, device="cpu")
    with pytest.raises(ConfigError, match="item 1 is float"):
        model.encode(["a", 2.0])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="no prompt 'passage'"):
        model.encode("a", prompt_name="passage")


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity(tiny_bert: Path, sentences: list[str], name: str) -> None:
    from sentence_transformers import SentenceTransformer as Oracle

    ours, theirs = Model(tiny_bert, device="cpu"), Oracle(str(tiny_bert), device="cpu", similarity_fn_name=name)
    ours.similarity_fn_name = name
    a, b = ours.encode(sentences[:3]), ours.encode(sentences[3:8])
    assert torch.allclose(ours.similarity(a, b), theirs.similarity(a, b), atol=1e-5)
    assert ours.similarity(a[0], b).shape == (1, 5)


def test_a_decoder_pools_the_last_token_and_others_the_mean(tiny_bert: Path) -> None:
    from workbench.models.folder import read_folder
    from workbench.models.persistence import default_pooling

    folder = read_folder(tiny_bert)
    assert default_pooling(folder).params["pooling_mode"] == ("mean",)
    object.__setattr__(folder, "config", {"architectures": ["TinyForCausalLM"]})
    assert default_pooling(folder).params["pooling_mode"] == ("lasttoken",)


def test_what_is_no_network(tiny_bert: Path) -> None:
    from workbench.models import Pooling, Transformer

    with pytest.raises(ModelError, match="either"):
        Model()
    with pytest.raises(ModelError, match="first of `modules`"):
        Model(modules=[Pooling(3)])
    with pytest.raises(WorkbenchError, match="no sentence vector"):
        Model(modules=[Transformer(tiny_bert)], device="cpu").encode("a")
    with pytest.raises(ModelError, match="more than the 64"):
        Transformer(tiny_bert, max_seq_length=65)


def test_a_failed_self_check_falls_back_to_padded(tiny_bert: Path, sentences: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.models import attention_cpu

    wanted = Model(tiny_bert, device="cpu").encode(sentences[:9])
    whole = lambda lengths: [(sum(lengths), 1)]  # noqa: E731 - attends across the boundaries
    monkeypatch.setattr(attention_cpu, "_runs", whole)
    model = Model(tiny_bert, device="cpu")
    assert not model.encoder.packs
    assert np.abs(model.encode(sentences[:9]) - wanted).max() < 2e-6


def test_scratch_is_the_same_in_every_process(sentences: list[str]) -> None:
    import hashlib
    import subprocess
    import sys

    program = (
        "import sys, hashlib, json; from workbench.models import build_scratch; texts = json.load(sys.stdin);"
        "t = build_scratch(texts, 5); w = b''.join(p.detach().numpy().tobytes() for p in t.parameters());"
        "print(hashlib.sha256(json.dumps(sorted(t.tokenizer.get_vocab().items())).encode() + w).hexdigest())"
    )
    import json

    digests = {
        subprocess.run(
            [sys.executable, "-c", program], input=json.dumps(sentences), capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1 and len(digests.pop().strip()) == hashlib.sha256().digest_size * 2
