"""The network a run begins with: what is kept of the base, and what is new."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.data.texts import TextsOf
from workbench.errors import ModelError
from workbench.models import Dense, Pooling, SentenceTransformer, Transformer, build_network
from workbench.recipe import ArchitectureSpec, LayerSpec, parse_layers

CPU = torch.device("cpu")


def stack(text: str, **encoder: int) -> ArchitectureSpec:
    return ArchitectureSpec((LayerSpec("transformer", encoder), *parse_layers(text)))


@pytest.fixture
def own(tiny_bert: Path, tmp_path: Path) -> SentenceTransformer:
    """A model with a Dense layer of its own, saved to `own` in the test's folder."""
    torch.manual_seed(9)
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 8)], device="cpu")
    model.save(tmp_path / "own")
    return model


def test_a_base_with_layers_of_its_own_keeps_their_weights(own: SentenceTransformer, home: Path, tmp_path: Path) -> None:
    base = str(tmp_path / "own")
    model, as_it_comes = build_network(base, stack("pooling,dense:8,normalize"), home, [], 0, CPU)
    assert torch.equal(model[2].linear.weight, own[2].linear.weight)
    assert torch.equal(as_it_comes[2].linear.weight, own[2].linear.weight)
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling", "Dense", "Normalize"]


def test_behind_the_first_difference_everything_is_new(own: SentenceTransformer, home: Path, tmp_path: Path) -> None:
    model, _ = build_network(str(tmp_path / "own"), stack("pooling:cls,dense:8"), home, [], 0, CPU)
    assert not torch.equal(model[2].linear.weight, own[2].linear.weight)


def test_scratch_learns_its_word_pieces_from_the_texts(home: Path, sentences: list[str]) -> None:
    model, base = build_network("scratch", stack("pooling,dense:16", max_seq_length=9), home, sentences, 3, CPU)
    again, _ = build_network("scratch", stack("pooling"), home, sentences, 3, CPU)
    assert model.get_sentence_embedding_dimension() == 16
    assert model.max_seq_length == 9
    assert base.get_sentence_embedding_dimension() == 128
    assert "router" in model.tokenizer.get_vocab()
    weights = [network.encoder.auto_model.embeddings.word_embeddings.weight for network in (model, again)]
    assert torch.equal(*weights)


def test_scratch_takes_texts_that_are_read_anew_each_time(home: Path, sentences: list[str]) -> None:
    listed, _ = build_network("scratch", stack("pooling"), home, sentences, 3, CPU)
    read, _ = build_network("scratch", stack("pooling"), home, TextsOf([sentences[:150], sentences[150:]]), 3, CPU)
    assert listed.tokenizer.get_vocab() == read.tokenizer.get_vocab()


def change_weights(source: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_an_encoder_with_missing_weights_is_refused_by_their_names(tiny_bert: Path, tmp_path: Path) -> None:
    def drop(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if "layer.1.attention" in name]:
            del weights[name]

    with pytest.raises(ModelError, match=r"of \d+ weights of the encoder in .* are missing, for example .*layer\.1\.attention"):
        Transformer(change_weights(tiny_bert, tmp_path / "broken", drop))


def test_an_encoder_whose_names_all_differ_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    def rename(weights: dict[str, torch.Tensor]) -> None:
        for name in list(weights):
            weights[f"strange.{name}.part"] = weights.pop(name)

    with pytest.raises(ModelError, match="are missing"):
        Transformer(change_weights(tiny_bert, tmp_path / "broken", rename))


def test_an_encoder_with_weights_of_another_shape_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    def widen(weights: dict[str, torch.Tensor]) -> None:
        name = next(name for name in weights if name.endswith("word_embeddings.weight"))
        weights[name] = torch.zeros(len(weights[name]), 40)

    with pytest.raises(ModelError, match=r"cannot be loaded|another shape"):
        Transformer(change_weights(tiny_bert, tmp_path / "broken", widen))


def test_a_missing_pooler_is_no_fault(tiny_bert: Path, tmp_path: Path) -> None:
    def drop(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if "pooler" in name]:
            del weights[name]

    folder = change_weights(tiny_bert, tmp_path / "headless", drop)
    first, second = (SentenceTransformer(modules=[Transformer(folder), Pooling(32)]) for _ in range(2))
    assert np.array_equal(first.encode("a text"), second.encode("a text"))
