"""Every layer of the table: constructor, layouts, gradients, files; and pooling against sentence-transformers."""

import importlib
import inspect
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.errors import ConfigError
from workbench.models import Dense, Pooling, SentenceTransformer, Transformer
from workbench.models.layer import Layer
from workbench.models.layout import PackedLayout, PaddedLayout
from workbench.models.stack import build_stack
from workbench.recipe import LAYERS, LayerSpec, parse_layers
from workbench.recipe.layers import ACTIVATIONS, POOLING_MODES

AFTER_ENCODER = [kind for kind in LAYERS if kind != "transformer"]
VARIANTS = {
    "pooling": ["pooling", *[f"pooling:{mode}" for mode in POOLING_MODES], "pooling:max+cls", "pooling:mean:include_prompt=false"],
    "dense": ["dense:16", "dense:8:identity:bias=false", *[f"dense:8:{name}" for name in ACTIVATIONS]],
    "normalize": ["normalize"],
    "dropout": ["dropout", "dropout:0.5"],
    "layernorm": ["layernorm"],
}
STACKS = [text if kind == "pooling" else f"pooling,{text}" for kind in AFTER_ENCODER for text in VARIANTS[kind]]


def build(tiny_bert: Path, text: str) -> SentenceTransformer:
    torch.manual_seed(1)
    encoder = Transformer(tiny_bert)
    return SentenceTransformer(modules=build_stack(encoder, 32, parse_layers(text)), device="cpu")


@pytest.mark.parametrize("kind", LAYERS)
def test_entry_and_constructor_agree(kind: str) -> None:
    entry = LAYERS[kind]
    module, _, name = entry.cls.partition(":")
    signature = inspect.signature(getattr(importlib.import_module(module), name).__init__)
    arguments = set(signature.parameters) - {"self", "args", "kwargs"}
    own = {"model_name_or_path"} if kind == "transformer" else {entry.width_argument} - {None}
    assert arguments == {parameter.name for parameter in entry.parameters} | own
    assert name == entry.title


@pytest.mark.parametrize("text", STACKS)
def test_width_and_parameter_count_are_as_announced(tiny_bert: Path, text: str, home: Path) -> None:
    from workbench.models import describe_base
    from workbench.recipe import ArchitectureSpec

    model, info = build(tiny_bert, text), describe_base(str(tiny_bert), home)
    spec = ArchitectureSpec((LayerSpec("transformer"), *parse_layers(text)))
    assert model.encode("move my router").shape == (spec.width(info),) == (model.get_sentence_embedding_dimension(),)
    own = sum(weight.numel() for module in list(model)[1:] for weight in module.parameters())
    assert own == spec.num_parameters(info) - info.num_parameters


@pytest.mark.parametrize("text", STACKS)
def test_packed_equals_padded_equals_one_by_one(tiny_bert: Path, text: str, sentences: list[str]) -> None:
    model = build(tiny_bert, text)
    ids = sorted(model.tokenize(sentences[:12]), key=len)
    device = torch.device("cpu")
    with torch.inference_mode():
        features = model.encoder.collate(ids, device)
        assert isinstance(features["layout"], PackedLayout)
        packed = model(features)["sentence_embedding"]
        model.encoder._packs["cpu"] = False
        features = model.encoder.collate(ids, device)
        assert isinstance(features["layout"], PaddedLayout)
        padded = model(features)["sentence_embedding"]
        single = torch.cat([model(model.encoder.collate([row], device))["sentence_embedding"] for row in ids])
    assert torch.allclose(packed, padded, atol=2e-6)
    assert torch.allclose(packed, single, atol=2e-6)


@pytest.mark.parametrize("text", STACKS)
def test_gradient_reaches_every_weight_in_use(tiny_bert: Path, text: str, sentences: list[str]) -> None:
    model = build(tiny_bert, text)
    features = model.encoder.collate(sorted(model.tokenize(sentences[:4]), key=len), torch.device("cpu"))
    vectors = model(features)["sentence_embedding"]
    (vectors * torch.randn_like(vectors)).sum().backward()
    without = [name for name, weight in model.named_parameters() if weight.grad is None and "pooler" not in name]
    assert without == []


@pytest.mark.parametrize("text", STACKS)
def test_saved_and_loaded_here_and_by_sentence_transformers(
    tiny_bert: Path, text: str, sentences: list[str], tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer as Oracle

    model = build(tiny_bert, text)
    model.prompts = {"query": "please "}
    model.max_seq_length = 20
    model.save(tmp_path / "model")
    ours = SentenceTransformer(tmp_path / "model", device="cpu")
    theirs = Oracle(str(tmp_path / "model"), device="cpu")
    wanted = model.encode(sentences[:8])
    assert np.array_equal(ours.encode(sentences[:8]), wanted)
    assert np.abs(theirs.encode(sentences[:8]) - wanted).max() < 1e-5
    assert ours.prompts == {"query": "please "} and theirs.prompts["query"] == "please "
    assert ours.max_seq_length == theirs.max_seq_length == 20
    theirs.save(str(tmp_path / "again"))
    assert np.abs(SentenceTransformer(tmp_path / "again", device="cpu").encode(sentences[:8]) - wanted).max() < 1e-5
    assert not [file for file in (tmp_path / "model").rglob("*") if file.suffix in {".bin", ".pkl", ".pt"}]


def test_every_layer_kind_has_a_variant() -> None:
    assert sorted(VARIANTS) == sorted(AFTER_ENCODER)


class _Recorder(Layer):
    """A layer that cannot read packed tokens."""

    packed = False

    def forward(self, features: dict) -> dict:
        assert isinstance(features["layout"], PaddedLayout)
        assert features["token_embeddings"].dim() == 3
        return features


def test_a_layer_that_is_not_packed_gets_padded_tokens(tiny_bert: Path, sentences: list[str]) -> None:
    encoder = Transformer(tiny_bert)
    plain = SentenceTransformer(modules=[encoder, Pooling(32, "max")], device="cpu")
    with_recorder = SentenceTransformer(modules=[encoder, _Recorder(), Pooling(32, "max")], device="cpu")
    assert np.allclose(plain.encode(sentences[:9]), with_recorder.encode(sentences[:9]), atol=1e-6)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("modes", [*POOLING_MODES, ("max", "cls", "mean"), tuple(reversed(POOLING_MODES))])
def test_pooling_equals_sentence_transformers(modes: str | tuple, include_prompt: bool, left: bool) -> None:
    from sentence_transformers.models import Pooling as Oracle

    torch.manual_seed(0)
    lengths, longest, prompt_length = [3, 4, 7], 7, 2
    x = torch.randn(3, longest, 5, dtype=torch.float64)
    mask = torch.zeros(3, longest, dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, longest - length :] = 1
        if not left:
            mask[row] = mask[row].flip(0)
    wanted = Oracle(5, pooling_mode=modes, include_prompt=include_prompt)(
        {"token_embeddings": x.clone(), "attention_mask": mask, "prompt_length": prompt_length}
    )["sentence_embedding"]
    found = Pooling(5, modes, include_prompt)(
        {"token_embeddings": x.clone(), "layout": PaddedLayout(mask), "prompt_length": prompt_length}
    )["sentence_embedding"]
    assert torch.allclose(found, wanted, atol=1e-12)


def test_half_precision_means_are_summed_in_float32() -> None:
    x = torch.full((1, 4096, 1), 1.001, dtype=torch.bfloat16)
    features = {"token_embeddings": x, "layout": PaddedLayout(torch.ones(1, 4096))}
    vector = Pooling(1)(features)["sentence_embedding"]
    assert vector.dtype == torch.bfloat16
    assert vector.item() == x[0, 0, 0].item()


def test_a_row_with_nothing_left() -> None:
    layout = PackedLayout([2, 3])
    x = torch.randn(5, 4)
    for mode, wanted in itertools.product(("mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"), (0.0,)):
        pooled = Pooling(4, mode, include_prompt=False)({"token_embeddings": x, "layout": layout, "prompt_length": 2})
        assert torch.equal(pooled["sentence_embedding"][0], torch.full((4,), wanted))


def test_constructors_refuse_what_no_file_could_say() -> None:
    with pytest.raises(ConfigError, match="pooling_mode"):
        Pooling(8, "average")
    with pytest.raises(ConfigError, match=r"activation_function.*Softmax"):
        Dense(8, 4, activation_function=torch.nn.Softmax())
