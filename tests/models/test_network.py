"""The network a run begins with: what is kept of the base, and what is new."""

from pathlib import Path

import pytest
import torch

from workbench.data.texts import TextsOf
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
