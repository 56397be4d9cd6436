"""What fills a batch up changes no number: vectors, losses and gradients are those of the batch as it is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.test_families import family  # noqa: F401
from workbench.losses import build_loss
from workbench.models import SentenceTransformer, attention
from workbench.models.attention_gpu import attend_in_one
from workbench.models.layout import PackedLayout, StaticLayout
from workbench.models.transformer import PACKED_FAMILIES
from workbench.recipe import KINDS, LOSSES, LossSpec
from workbench.training.batch import Batch, Collate
from workbench.training.bucketing import BucketedBatch, Buffers, fill_up
from workbench.training.embedding import embed
from workbench.training.tokens import Tokens

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def without_casts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's own way to attend computes in float32, whatever it is given."""
    monkeypatch.setattr(attention, "attend_by_length", attend_in_one)


@pytest.fixture
def model(tiny_bert: Path) -> SentenceTransformer:
    return SentenceTransformer(tiny_bert, device="cpu")


def filled(batch: Batch, limit: int = 64, grain: int = 256) -> BucketedBatch:
    found = fill_up(batch, limit, 0, CPU, grain)
    assert found is not None
    return found


def in_buffers(batch: BucketedBatch, buffers: Buffers | None = None) -> Batch:
    buffers = buffers or Buffers(batch.bucket, CPU)
    buffers.fill(batch)
    return buffers.batch()


def gradients(model: torch.nn.Module) -> Tensor:
    flat = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
    model.zero_grad()
    return flat


def assert_the_same(model: SentenceTransformer, loss: torch.nn.Module, batch: Batch, grain: int = 256) -> None:
    """In float64, where rounding hides nothing."""
    model.double().eval()
    loss.double()
    both = []
    bucketed = filled(batch, model.max_seq_length, grain)
    assert bucketed.bucket.tokens > bucketed.tokens
    for each in (batch, in_buffers(bucketed)):
        columns = embed(model, each)
        value = loss(columns, each.labels)
        assert value.dtype == torch.float64
        value.backward()
        both.append((torch.stack([column.detach() for column in columns]), value.item(), gradients(model)))
    (vectors, value, gradient), (other_vectors, other_value, other_gradient) = both
    assert float((vectors - other_vectors).abs().max()) < 1e-12
    assert other_value == pytest.approx(value, rel=1e-10)
    assert gradient.norm() > 0 and float((gradient - other_gradient).norm() / gradient.norm()) < 1e-9


@pytest.mark.parametrize("family", sorted(PACKED_FAMILIES), indirect=True)
def test_every_packed_family_gives_the_same_numbers(family: tuple[str, Path], sentences: list[str]) -> None:  # noqa: F811
    model = SentenceTransformer(family[1], device="cpu")
    assert model.encoder.packs
    texts = [*sentences[:9], " ".join(sentences[:15])]  # the last goes beyond every window
    batch = Collate(Tokens(model, [texts, list(reversed(texts))]), np.linspace(0, 1, 10))(range(10))
    assert_the_same(model, build_loss(LossSpec("CoSENTLoss"), 32, 0), batch)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_gives_the_same_numbers(name: str, model: SentenceTransformer, sentences: list[str]) -> None:
    kind = KINDS[LOSSES[name].kinds[0]]
    columns = [sentences[10 * index : 10 * index + 10] for index in range(len(kind.texts))]
    columns[0][:2] = [columns[-1][4]] * 2  # fewer sentences than places
    labels = (
        None if kind.label is None else np.array([0.0, 0.25, 0.5, 1.0, 0.75] * 2 if kind.name == "scored_pairs" else [0, 1] * 5)
    )
    torch.manual_seed(0)
    assert_the_same(model, build_loss(LossSpec(name), 32, 2), Collate(Tokens(model, columns), labels)(range(10)), grain=100)


@pytest.mark.parametrize("modes", ["cls", "max", "weightedmean", "mean_sqrt_len_tokens", "lasttoken"])
def test_every_pooling_gives_the_same_numbers(modes: str, tiny_bert: Path, sentences: list[str]) -> None:
    from workbench import models

    encoder = models.Transformer(tiny_bert)
    model = SentenceTransformer(modules=[encoder, models.Pooling(32, modes), models.Normalize()], device="cpu")
    batch = Collate(Tokens(model, [sentences[:10], sentences[10:20]]), np.linspace(0, 1, 10))(range(10))
    assert_the_same(model, build_loss(LossSpec("CoSENTLoss"), 32, 0), batch)


@pytest.mark.parametrize("grain", [1, 7, 256, 4000])
@pytest.mark.parametrize("limit", [2, 3, 17, 512])
def test_sizes_are_rounded_up_and_every_place_is_taken(limit: int, grain: int) -> None:
    generator = np.random.default_rng(limit)
    for count in (1, 2, 60):
        lengths = np.sort(generator.integers(1, limit + 1, count))
        ids = [generator.integers(1, 99, length).tolist() for length in lengths]
        columns = list(torch.from_numpy(generator.integers(0, count, (2, 40))))
        batch = filled(Batch(ids, columns, torch.arange(40)), limit, grain)
        bucket = batch.bucket
        step = max(grain, 2 ** int(np.log2(batch.tokens)) // 16)
        assert bucket.tokens % step == 0 and batch.tokens == sum(lengths) < bucket.tokens
        assert bucket.sentences >= 80 and bucket.longest <= limit and (bucket.rows, bucket.columns) == (40, 2)
        found = in_buffers(batch)
        layout = found.features["layout"]  # type: ignore[index]
        assert isinstance(layout, StaticLayout)
        made = layout.counts().numpy()
        assert len(made) == bucket.sentences and made.min() >= 1 and made.max() <= bucket.longest and made.sum() == bucket.tokens
        assert made[:count].tolist() == lengths.tolist()
        assert found.features["input_ids"][: batch.tokens].tolist() == [piece for sentence in ids for piece in sentence]  # type: ignore[index]
        assert torch.equal(torch.stack(found.columns), torch.stack(columns)) and found.labels is not None
        whole = PackedLayout(made)
        for name in ("boundaries", "row_of_token", "_positions", "keep"):
            assert torch.equal(getattr(layout, name), getattr(whole, name))
        x = torch.arange(float(bucket.tokens)).unsqueeze(1)
        assert torch.equal(layout.to_padded(x)[:, : whole.longest], whole.to_padded(x))
        assert torch.equal(layout.from_padded(layout.to_padded(x)), x) and int(layout.padded_mask().sum()) == bucket.tokens


def test_batches_of_like_size_share_a_bucket(model: SentenceTransformer, sentences: list[str]) -> None:
    collate = Collate(Tokens(model, [sentences[:100], sentences[100:]]), np.linspace(0, 1, 100))
    batches = [collate(range(start, start + 20)) for start in range(0, 100, 20)]
    assert len({sum(map(len, batch.token_ids)) for batch in batches}) > 2
    assert (
        len({filled(batch, grain=1).bucket for batch in batches}) > len({filled(batch, grain=700).bucket for batch in batches}) == 1
    )
    assert filled(collate(range(19))).bucket != filled(batches[0]).bucket, "a smaller batch has another mean"


def test_many_tokens_are_rounded_up_by_a_sixteenth_at_most() -> None:
    batch = Batch([[1] * 400] * 500, [torch.arange(250), torch.arange(250, 500)], None)
    bucket = filled(batch, 512).bucket
    assert 200_000 < bucket.tokens <= 200_000 * 17 / 16 + 256 and bucket.tokens % 8192 == 0


def test_a_text_without_any_token_is_not_filled_up() -> None:
    assert fill_up(Batch([[], [1, 2]], [torch.tensor([0]), torch.tensor([1])], None), 64, 0, CPU) is None


def test_the_next_batch_takes_the_place_of_the_last(model: SentenceTransformer, sentences: list[str]) -> None:
    collate = Collate(Tokens(model, [sentences[:20], sentences[20:40]]), np.linspace(0, 1, 20))
    first, second = (filled(collate(range(start, start + 10)), grain=512) for start in (0, 10))
    assert first.bucket == second.bucket
    buffers = Buffers(first.bucket, CPU)
    found = in_buffers(first, buffers)
    again = in_buffers(second, buffers)
    fresh = in_buffers(second)
    for mine, wanted in ((found, fresh), (again, fresh)):
        assert torch.equal(mine.features["input_ids"], wanted.features["input_ids"])  # type: ignore[index]
        assert torch.equal(torch.stack(mine.columns), torch.stack(wanted.columns)) and torch.equal(mine.labels, wanted.labels)  # type: ignore[arg-type]
    model.eval()
    assert torch.equal(embed(model, again)[0], embed(model, fresh)[0])
