"""Batches hold every distinct sentence once; embedding them gives the numbers of the plain way."""

from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.losses import build_loss
from workbench.models import SentenceTransformer
from workbench.recipe import KINDS, LOSSES, LossSpec
from workbench.training.batch import Batch, Collate
from workbench.training.embedding import Padding, embed, prepare
from workbench.training.sampler import ShuffledBatches
from workbench.training.tokens import Tokens


@pytest.fixture
def model(tiny_bert: Path) -> SentenceTransformer:
    return SentenceTransformer(tiny_bert, device="cpu")


def collate(model: SentenceTransformer, columns: list[list[str]], labels: list[float] | None = None) -> Collate:
    return Collate(Tokens(model, columns), None if labels is None else np.asarray(labels))


def test_each_distinct_sentence_is_there_once_and_short_ones_first(model: SentenceTransformer) -> None:
    columns = [
        ["pay the invoice", "move the router and the cable", "Pay the  invoice "],
        ["reset password", "pay the invoice", "check it"],
    ]
    batch = collate(model, columns, [0.0, 0.5, 1.0])([0, 1, 2])
    assert len(batch.token_ids) == 4
    lengths = [len(ids) for ids in batch.token_ids]
    assert lengths == sorted(lengths)
    assert batch.columns[0][0] == batch.columns[0][2] == batch.columns[1][1]
    assert batch.rows == 3 and batch.labels is not None and batch.labels.dtype == torch.float32


def test_a_row_that_pairs_a_sentence_with_itself_keeps_two_copies(model: SentenceTransformer) -> None:
    batch = collate(model, [["pay it", "move it"], ["pay it", "pay it"]])([0, 1])
    assert len(batch.token_ids) == 3
    assert batch.columns[0][0] != batch.columns[1][0]
    model.train()
    first, second = embed(model, batch)
    assert not torch.allclose(first[0], second[0]), "dropout sees the two copies differently"


def test_embedding_a_batch_equals_encoding_its_columns(model: SentenceTransformer, sentences: list[str]) -> None:
    columns = [sentences[:12], sentences[6:18]]
    batch = collate(model, columns)(list(range(12)))
    padding = Padding()
    model.eval()
    found = embed(model, batch, padding=padding)
    for mine, texts in zip(found, columns, strict=True):
        assert np.abs(mine.detach().numpy() - model.encode(texts)).max() < 2e-6
    assert padding.fraction == 0.0
    assert padding.positions == sum(len(ids) for ids in model.tokenize(sentences[:18]))


def gradients(model: SentenceTransformer) -> torch.Tensor:
    flat = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    return torch.cat(flat)


@pytest.mark.parametrize("name", LOSSES)
def test_packed_padded_and_chunked_give_one_loss_and_one_gradient(
    name: str, model: SentenceTransformer, sentences: list[str]
) -> None:
    kind = KINDS[LOSSES[name].kinds[0]]
    columns = [sentences[10 * index : 10 * index + 10] for index in range(len(kind.texts))]
    labels = None if kind.label is None else [0.0, 0.25, 0.5, 1.0, 0.75] * 2 if kind.name == "scored_pairs" else [0, 1] * 5
    batch = collate(model, columns, labels)(list(range(10)))
    torch.manual_seed(0)
    loss = build_loss(LossSpec(name), 32, 2)
    model.eval()

    def step(sentences: int | None = None) -> tuple[float, torch.Tensor]:
        value = loss(embed(model, batch, sentences=sentences), batch.labels)
        value.backward()
        return value.item(), gradients(model)

    packed_value, packed = step()
    model.encoder._packs["cpu"] = False
    padded_value, padded = step()
    model.encoder._packs["cpu"] = True
    assert packed_value == pytest.approx(padded_value, abs=1e-5)
    assert (packed - padded).norm() / padded.norm() < 1e-4
    for sentences_at_a_time in (1, 7):
        value, chunked = step(sentences_at_a_time)
        assert value == pytest.approx(packed_value, abs=1e-5)
        assert (chunked - packed).norm() / packed.norm() < 1e-4


def test_chunks_replay_dropout(model: SentenceTransformer, sentences: list[str]) -> None:
    batch = collate(model, [sentences[:8], sentences[8:16]])(list(range(8)))
    loss = build_loss(LossSpec("MultipleNegativesRankingLoss"), 32, 0)
    model.train()
    torch.manual_seed(5)
    value = loss(embed(model, batch, sentences=5), None)
    value.backward()
    chunked = gradients(model)
    # The plain way with the same draws: the same chunks, their graphs all kept.
    torch.manual_seed(5)
    parts = []
    for start in range(0, len(batch.token_ids), 5):
        features = model.encoder.collate(batch.token_ids[start : start + 5], torch.device("cpu"))
        parts.append(model(features)["sentence_embedding"])
    vectors = torch.cat(parts)
    plain = loss([vectors[column] for column in batch.columns], None)
    plain.backward()
    assert value.item() == pytest.approx(plain.item(), abs=1e-6)
    assert (chunked - gradients(model)).norm() / chunked.norm() < 1e-5


def test_chunks_keep_next_to_nothing_for_backward(model: SentenceTransformer, sentences: list[str]) -> None:
    batch = collate(model, [sentences[:20], sentences[20:40]])(list(range(20)))

    def kept(sentences: int | None) -> int:
        numbers = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: numbers.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            embed(model, batch, sentences=sentences)
        return sum(numbers)

    assert kept(5) < kept(None) / 100


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("epoch", [0, 3])
def test_every_row_comes_once_an_epoch(distinct: bool, epoch: int, model: SentenceTransformer, sentences: list[str]) -> None:
    generator = np.random.default_rng(0)
    columns = [[sentences[index] for index in generator.integers(0, 60, 101)] for _ in range(2)]
    tokens = Tokens(model, columns)
    batches = ShuffledBatches(tokens, 8, seed=1, distinct=distinct)
    batches.set_epoch(epoch)
    found = list(batches)
    assert sorted(row for batch in found for row in batch) == list(range(101))
    assert len(found) == len(batches) and max(map(len, found)) == 8
    if distinct:
        for batch in found:
            rows = [set(tokens.columns[:, row].tolist()) for row in batch]
            assert sum(map(len, rows)) == len(set().union(*rows))
    again = ShuffledBatches(tokens, 8, seed=1, distinct=distinct)
    again.set_epoch(epoch)
    assert list(again) == found
    other = ShuffledBatches(tokens, 8, seed=2, distinct=distinct)
    assert list(other) != found


class Numbered:
    """What a sampler asks of tokens."""

    def __init__(self, columns: np.ndarray) -> None:
        self.columns, self.rows = columns, columns.shape[1]


def plain_batches(columns: np.ndarray, size: int, seed: int, epoch: int) -> list[list[int]]:
    """Rows in their order, each into the first batch that it clashes with nothing in, written as plainly as can be."""
    waiting = np.random.default_rng((seed, epoch)).permutation(columns.shape[1]).tolist()
    batches = []
    while waiting:
        batch: list[int] = []
        passed_by: list[int] = []
        seen: set[int] = set()
        while waiting and len(batch) < size and len(passed_by) < 20 * size:
            row = waiting.pop(0)
            sentences = set(columns[:, row].tolist())
            (passed_by if sentences & seen else batch).append(row)
            seen |= sentences if row in batch else set()
        waiting = passed_by + waiting
        batches.append(batch)
    return batches


@pytest.mark.parametrize("sentences", [2, 40, 300, 100_000])
@pytest.mark.parametrize("size", [1, 5, 32])
def test_batches_without_repeats_are_those_of_the_plain_search(sentences: int, size: int) -> None:
    columns = np.random.default_rng(0).integers(0, sentences, (2, 333))
    batches = ShuffledBatches(Numbered(columns), size, seed=4, distinct=True)  # type: ignore[arg-type]
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        assert list(batches) == plain_batches(columns, size, 4, epoch)


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 64])
def test_batches_are_the_permutation_cut(rows: int) -> None:
    batches = ShuffledBatches(Numbered(np.zeros((2, rows), dtype=np.int64)), 32, seed=4)  # type: ignore[arg-type]
    order = np.random.default_rng((4, 0)).permutation(rows).tolist()
    assert list(batches) == [order[start : start + 32] for start in range(0, rows, 32)] and len(batches) == -(-rows // 32)


def test_padded_batches_pad_on_the_side_of_the_tokenizer(model: SentenceTransformer) -> None:
    model.encoder._packs["cpu"] = False
    model.tokenizer.pad_token_id = 0
    for side, rows in (("right", [[7, 0, 0], [1, 2, 3]]), ("left", [[0, 0, 7], [1, 2, 3]])):
        model.tokenizer.padding_side = side
        features = model.encoder.collate([[7], [1, 2, 3]], torch.device("cpu"))
        assert features["input_ids"].tolist() == rows
        assert features["layout"].mask.tolist() == [[number > 0 for number in row] for row in rows]


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("sentences_at_a_time", [None, 3, 100])
def test_a_prepared_batch_gives_the_same_vectors(
    packs: bool, sentences_at_a_time: int | None, model: SentenceTransformer, sentences: list[str]
) -> None:
    model.encoder._packs["cpu"] = packs
    model.eval()
    batch = collate(model, [sentences[:20], sentences[15:35]])(list(range(20)))
    ready = prepare(model, batch, sentences_at_a_time)
    assert (ready.features is not None) == (packs and sentences_at_a_time != 3), "in parts it is made when it is needed"
    counts = Padding(), Padding()
    found, wanted = (embed(model, each, count, sentences_at_a_time) for each, count in zip((ready, batch), counts, strict=True))
    assert counts[0] == counts[1]
    for mine, other in zip(found, wanted, strict=True):
        assert torch.equal(mine, other)


def test_gathered_word_pieces_are_those_of_each_sequence(model: SentenceTransformer, sentences: list[str]) -> None:
    tokens = Tokens(model, [sentences[:30]])
    chosen = np.array([7, 3, 3, 29, 0])
    assert list(tokens.gather(chosen)) == [tokens.ids(int(number)) for number in chosen]
    assert list(tokens.gather(chosen[:0])) == []


def test_padding_is_counted(model: SentenceTransformer) -> None:
    model.encoder._packs["cpu"] = False
    padding = Padding()
    embed(model, Batch([[2, 3], [2, 9, 9, 3]], [torch.tensor([0, 1])], None), padding=padding)
    assert (padding.positions, padding.padded) == (8, 2)


def test_truncated_texts_are_counted(model: SentenceTransformer) -> None:
    assert Tokens(model, [["pay " * 100, "pay it", "pay " * 100]]).truncated == 1


def test_a_batch_without_labels() -> None:
    assert Batch([[1]], [torch.tensor([0])], None).rows == 1
