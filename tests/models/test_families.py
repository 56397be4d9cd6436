"""Every encoder family, as a tiny folder: which run packed, and that each gives sentence-transformers' own vectors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.models import SentenceTransformer as Model
from workbench.models import attention
from workbench.models.attention_cpu import attend_by_length
from workbench.models.attention_gpu import attend_in_one
from workbench.models.transformer import PACKED_FAMILIES

USUAL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
}
SHAPES: dict[str, dict] = {
    "albert": USUAL | {"embedding_size": 16},
    "bert": USUAL,
    "camembert": USUAL,
    "data2vec-text": USUAL,
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 130},
    "electra": USUAL | {"embedding_size": 16},
    "ernie": USUAL,
    # One layer sees all, the other tokens nine apart at most: far less than the longest text below.
    "modernbert": USUAL | {"local_attention": 18, "global_attn_every_n_layers": 2},
    "nomic_bert": USUAL,
    "roberta": USUAL,
    "xlm-roberta": USUAL,
    "xlm-roberta-xl": USUAL,
    # These run padded.
    "deberta-v2": USUAL,
    "mpnet": USUAL,
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
}


@pytest.fixture(scope="module")
def family(request: pytest.FixtureRequest, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A plain folder of random weights with the tiny tokenizer."""
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer

    name = request.param
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    config = AutoConfig.for_model(name, vocab_size=len(tokenizer), **SHAPES[name], **ids)
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("families") / name
    kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
    model = kind.from_config(config)
    model.save_pretrained(folder)
    tokenizer.model_max_length = 126
    tokenizer.save_pretrained(folder)
    return name, folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("family", SHAPES, indirect=True)
def test_each_family_gives_the_vectors_of_sentence_transformers(family: tuple[str, Path], sentences: list[str]) -> None:
    from sentence_transformers import SentenceTransformer as Oracle

    name, folder = family
    texts = [*sentences[:20], "router", "", " ".join(sentences[:15])]
    ours = Model(folder, device="cpu")
    assert ours.encoder.packs == (name in PACKED_FAMILIES)
    mine, wanted = ours.encode(texts), Oracle(str(folder), device="cpu").encode(texts)
    assert np.abs(mine - wanted).max() < 2e-5
    assert np.abs(mine[0] - mine[1]).max() > 1e-4, "a family whose vectors are all equal would prove nothing"


@pytest.mark.parametrize("family", sorted(PACKED_FAMILIES), indirect=True)
@pytest.mark.parametrize("way", [attend_by_length, attend_in_one], ids=["cpu", "gpu"])
def test_packed_and_padded_give_one_gradient(
    family: tuple[str, Path], way: Callable[..., torch.Tensor], sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "attend_by_length", way)
    model = Model(family[1], device="cpu")
    ids = sorted(model.tokenize([*sentences[:7], " ".join(sentences[:15])]), key=len)

    def gradient() -> torch.Tensor:
        model.zero_grad()
        model(model.encoder.collate(ids, model.device))["sentence_embedding"].square().sum().backward()
        return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])

    assert model.encoder.packs
    packed = gradient()
    model.encoder._packs["cpu"] = False
    padded = gradient()
    assert packed.norm() > 0
    assert (packed - padded).norm() / padded.norm() < 1e-4


@pytest.mark.parametrize("family", sorted(PACKED_FAMILIES), indirect=True)
def test_without_the_pooler_every_weight_has_a_gradient(family: tuple[str, Path], sentences: list[str]) -> None:
    """DDP relies on it for these families."""
    model = Model(family[1], device="cpu")
    model.encoder.freeze_pooler()
    model(model.encoder.collate(sorted(model.tokenize(sentences[:4]), key=len), model.device))[
        "sentence_embedding"
    ].sum().backward()
    trained = {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(trained) > 10 and [name for name, gradient in trained.items() if gradient is None] == []
    assert not any("pooler" in name for name in trained)


def test_every_family_is_tried() -> None:
    assert set(SHAPES) >= PACKED_FAMILIES
