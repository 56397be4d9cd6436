"""Training the occurring word vectors alone gives the network that training all of them gives."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.models.test_families import SHAPES, family  # noqa: F401
from workbench.models import SentenceTransformer
from workbench.training import embedding_rows
from workbench.training.batch import Batch
from workbench.training.distributed import ALONE
from workbench.training.embedding_rows import UsedEmbeddingRows, find_occurring_words
from workbench.training.tokens import Tokens
from workbench.training.trainer import TrainedNetwork

STEPS = 6


class Squares(torch.nn.Module):
    """A loss that reaches every number of every vector."""

    def forward(self, columns: list[Tensor], labels: Tensor | None) -> Tensor:
        """Return the loss."""
        return sum((column - 0.1).square().sum() for column in columns)  # type: ignore[return-value]


def make_batch(tokens: Tokens) -> Batch:
    ids = sorted((tokens.ids(number) for number in range(len(tokens.lengths))), key=len)
    return Batch(ids, [torch.arange(len(ids))], None)


def trained(folder: Path, texts: list[str], alone: bool) -> tuple[dict[str, Tensor], list[float]]:
    """Return all weights after a few steps of AdamW, and the norm of the gradient at each."""
    torch.manual_seed(3)
    model = SentenceTransformer(folder, device="cpu")
    tokens = Tokens(model, [texts])
    words = find_occurring_words(model, tokens, 0.0) if alone else None
    assert (words is not None) == alone
    network = TrainedNetwork(model, Squares(), ALONE, None, words)  # type: ignore[arg-type]
    norms = []
    with words.trained() if words else torch.enable_grad():
        optimizer = torch.optim.AdamW(
            [weight for weight in network.parameters() if weight.requires_grad], lr=1e-3, weight_decay=0.0
        )
        network.train()
        for step in range(STEPS):
            torch.manual_seed(step)
            optimizer.zero_grad()
            network(make_batch(tokens)).backward()
            norms.append(float(torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)))
            optimizer.step()
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}, norms


@pytest.fixture
def few(sentences: list[str]) -> list[str]:
    """Texts with a small part of the vocabulary."""
    return sentences[:3]


@pytest.mark.parametrize("family", sorted(set(SHAPES) - {"t5"}), indirect=True)
def test_every_family_gets_the_same_weights(family: tuple[str, Path], few: list[str]) -> None:  # noqa: F811
    wanted, norms = trained(family[1], few, alone=False)
    found, other_norms = trained(family[1], few, alone=True)
    assert norms == pytest.approx(other_norms, rel=1e-5)
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert torch.allclose(found[name], weight, rtol=1e-4, atol=1e-6), name
    start = dict(SentenceTransformer(family[1], device="cpu").named_parameters())
    moved = [name for name, weight in found.items() if not torch.equal(weight, start[name])]
    assert any("word" in name or "tok" in name for name in moved)


def test_rows_that_do_not_occur_stay_bit_for_bit(tiny_bert: Path, few: list[str]) -> None:
    found, _ = trained(tiny_bert, few, alone=True)
    model = SentenceTransformer(tiny_bert, device="cpu")
    occurs = torch.from_numpy(Tokens(model, [few]).occurring(len(model.encoder.tokenizer)))
    name = next(name for name in found if name.endswith("word_embeddings.weight"))
    start = dict(model.named_parameters())[name]
    assert 5 < int(occurs.sum()) < len(occurs) / 2
    assert torch.equal(found[name][~occurs], start[~occurs])
    changed = (found[name] != start).any(dim=1)
    assert torch.equal(changed, occurs)


def test_all_are_trained_where_leaving_rows_out_would_change_them(
    tiny_bert: Path, few: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = SentenceTransformer(tiny_bert, device="cpu")
    tokens = Tokens(model, [few])
    assert find_occurring_words(model, tokens, 0.0) is not None
    assert find_occurring_words(model, tokens, 0.01) is None  # weight decay pulls at every row
    with monkeypatch.context() as patch:
        patch.setattr(embedding_rows, "WORTH_IT", 0.01)
        assert find_occurring_words(model, tokens, 0.0) is None  # too many rows occur
    table = model.encoder.auto_model.get_input_embeddings()
    table.weight.requires_grad_(False)
    assert find_occurring_words(model, tokens, 0.0) is None  # frozen
    table.weight.requires_grad_(True)
    model.register_module("tied", torch.nn.Embedding.from_pretrained(torch.zeros(2, 2), freeze=False))
    model.tied.weight = table.weight
    assert find_occurring_words(model, tokens, 0.0) is None  # something else reads the whole table


@pytest.fixture
def words(tiny_bert: Path, few: list[str]) -> Iterator[tuple[SentenceTransformer, Tokens, UsedEmbeddingRows]]:
    """A model in the middle of a training."""
    model = SentenceTransformer(tiny_bert, device="cpu")
    tokens = Tokens(model, [few])
    found = find_occurring_words(model, tokens, 0.0)
    assert found is not None
    with found.trained():
        yield model, tokens, found


def test_what_is_measured_in_the_middle_is_up_to_date(
    words: tuple[SentenceTransformer, Tokens, UsedEmbeddingRows], few: list[str]
) -> None:
    model, tokens, found = words
    network = TrainedNetwork(model, Squares(), ALONE, None, found)  # type: ignore[arg-type]
    before = model.encode(few)
    with torch.no_grad():
        found.weight += torch.linspace(-1, 1, found.weight.numel()).reshape(found.weight.shape)
    network.sync_embedding_rows()
    after = model.encode(few)
    assert np.abs(after - before).max() > 1e-3
    model.eval()
    with_gradient = model(model.encoder.collate(make_batch(tokens).token_ids, model.device))["sentence_embedding"]
    order = sorted(range(len(few)), key=lambda row: len(model.tokenize([few[row]])[0]))
    assert np.allclose(after[order], with_gradient.detach().numpy(), atol=1e-6)


def test_a_word_piece_that_was_not_announced_is_no_silent_mistake(
    words: tuple[SentenceTransformer, Tokens, UsedEmbeddingRows],
) -> None:
    model, _, found = words
    missing = int((found._place < 0).nonzero()[0])
    with pytest.raises(IndexError):
        model.encoder.auto_model.get_input_embeddings()(torch.tensor([[missing]]))


def test_the_padding_row_gets_no_gradient(tiny_bert: Path) -> None:
    table = torch.nn.Embedding(6, 2, padding_idx=1)
    found = UsedEmbeddingRows(table, np.array([False, True, True, False, False, True]))
    ids = torch.tensor([[1, 2, 5]])
    with found.trained():
        assert torch.equal(table(ids), F.embedding(ids, table.weight))
        table(ids).sum().backward()
    assert found.weight.grad is not None
    assert found.weight.grad.tolist() == [[0, 0], [1, 1], [1, 1]]


def test_however_it_ends_the_table_is_trained_as_before(tiny_bert: Path, few: list[str]) -> None:
    model = SentenceTransformer(tiny_bert, device="cpu")
    found = find_occurring_words(model, Tokens(model, [few]), 0.0)
    assert found is not None
    table = model.encoder.auto_model.get_input_embeddings()
    with pytest.raises(KeyboardInterrupt), found.trained():
        with torch.no_grad():
            found.weight.fill_(2.0)
        raise KeyboardInterrupt
    assert table.weight.requires_grad
    assert not table._forward_hooks
    assert int((table.weight == 2.0).all(dim=1).sum()) == len(found.weight)
