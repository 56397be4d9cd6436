"""Every loss against sentence-transformers: value and gradient, on random vectors and on a real encoder."""

import importlib
import inspect

import pytest
import torch

from workbench.errors import ConfigError
from workbench.losses import build_loss
from workbench.recipe import KINDS, LOSSES, LossSpec, default_loss, losses_for, parse_loss

WIDTH, ROWS = 24, 12


def make_batch(name: str, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[list[torch.Tensor], torch.Tensor | None]:
    generator = torch.Generator().manual_seed(seed)
    kind = KINDS[LOSSES[name].kinds[0]]
    columns = [torch.randn(ROWS, WIDTH, generator=generator, dtype=dtype).requires_grad_() for _ in kind.texts]
    if kind.label is None:
        return columns, None
    if kind.name == "scored_pairs":
        return columns, torch.randint(0, 5, (ROWS,), generator=generator).to(dtype) / 4  # ties on purpose, exact in float32
    return columns, torch.randint(0, 2, (ROWS,), generator=generator)


class GivenVectors(torch.nn.Module):
    """Stands where sentence-transformers' losses expect a model: its features are the sentence vectors already."""

    device = torch.device("cpu")

    def forward(self, features: dict) -> dict:
        return features

    def get_sentence_embedding_dimension(self) -> int:
        return WIDTH

    def get_embedding_dimension(self) -> int:
        return WIDTH


def oracle_value(name: str, columns: list[torch.Tensor], labels: torch.Tensor | None, weights: dict) -> torch.Tensor:
    from sentence_transformers.sentence_transformer import losses

    cls = getattr(losses, name)
    if name == "SoftmaxLoss":
        loss = cls(GivenVectors(), WIDTH, 2).double()
        loss.classifier.load_state_dict({key.removeprefix("classifier."): value for key, value in weights.items()})
        return loss([{"sentence_embedding": column} for column in columns], labels)
    if name == "MegaBatchMarginLoss":
        return cls(GivenVectors(), use_mini_batched_version=False)([{"sentence_embedding": column} for column in columns], labels)
    return cls(GivenVectors()).compute_loss_from_embeddings(columns, labels)


@pytest.mark.filterwarnings("ignore:The MultipleNegativesSymmetricRankingLoss is deprecated")
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_equal_sentence_transformers(name: str, seed: int) -> None:
    columns, labels = make_batch(name, seed=seed)
    loss = build_loss(LossSpec(name), WIDTH, 2).double()
    value = loss(columns, labels)
    gradients = torch.autograd.grad(value, columns)
    copies = [column.detach().clone().requires_grad_() for column in columns]
    wanted = oracle_value(name, copies, labels, loss.state_dict())
    wanted_gradients = torch.autograd.grad(wanted, copies)
    assert value.item() == pytest.approx(wanted.item(), abs=1e-9)
    for mine, theirs in zip(gradients, wanted_gradients, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_one_row_gives_a_finite_number(name: str) -> None:
    columns, labels = make_batch(name)
    value = build_loss(LossSpec(name), WIDTH, 2).double()(
        [column[:1] for column in columns], None if labels is None else labels[:1]
    )
    assert torch.isfinite(value)


@pytest.mark.parametrize("name", [name for name, entry in LOSSES.items() if KINDS[entry.kinds[0]].label])
def test_missing_labels_are_an_error_in_words(name: str) -> None:
    columns, _ = make_batch(name)
    with pytest.raises(ConfigError, match="needs a score or label"):
        build_loss(LossSpec(name), WIDTH, 2).double()(columns, None)


@pytest.mark.parametrize("name", LOSSES)
def test_entry_and_constructor_agree(name: str) -> None:
    entry = LOSSES[name]
    module, _, cls = entry.cls.partition(":")
    assert cls == name
    signature = inspect.signature(getattr(importlib.import_module(module), cls).__init__)
    own = {"embedding_dimension", "num_labels"} if entry.needs_classes else set()
    assert set(signature.parameters) - own - {"self", "args", "kwargs"} == {parameter.name for parameter in entry.parameters}
    for parameter in entry.parameters:
        assert signature.parameters[parameter.name].default == parameter.default


@pytest.mark.parametrize("name", [name for name, entry in LOSSES.items() if entry.parameters])
def test_every_parameter_does_something(name: str) -> None:
    columns, labels = make_batch(name)
    if name in {"TripletLoss", "ContrastiveLoss", "OnlineContrastiveLoss"}:  # inside the margin, or it would not show
        columns = [column / 10 + columns[0].detach() for column in columns]
    usual = build_loss(LossSpec(name), WIDTH, 2)(columns, labels)
    for parameter in LOSSES[name].parameters:
        changed = build_loss(LossSpec(name, {parameter.name: parameter.default * 0.7}), WIDTH, 2)(columns, labels)
        assert changed.item() != pytest.approx(usual.item())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_default_that_takes_it(kind: str) -> None:
    spec = default_loss(kind)
    spec.check_kind(kind)
    assert losses_for(kind)[0] == spec.name


def test_scored_pairs_start_at_a_scale_that_leaves_unrelated_texts_apart() -> None:
    assert default_loss("scored_pairs") == LossSpec("CoSENTLoss", {"scale": 5.0})
    # Named without parameters, the loss is the field's own.
    assert parse_loss("CoSENTLoss") == LossSpec("CoSENTLoss", {"scale": 20.0})


def test_a_loss_that_does_not_fit_names_those_that_do() -> None:
    with pytest.raises(ConfigError, match="MultipleNegativesRankingLoss") as caught:
        LossSpec("CoSENTLoss").check_kind("pairs")
    assert "anchor, positive" in caught.value.message


def test_text_of_a_loss() -> None:
    assert parse_loss("auto") is None
    assert parse_loss("cosentloss:scale=10") == LossSpec("CoSENTLoss", {"scale": 10.0})
    with pytest.raises(ConfigError, match="CosineSimilarityLoss"):
        parse_loss("CosineLoss")
    with pytest.raises(ConfigError, match="has no parameter `margin`"):
        parse_loss("CoSENTLoss:margin=1")


@pytest.mark.parametrize("only", [0, 1])
def test_a_batch_of_matches_or_non_matches_alone_is_selected_by_its_mean(only: int) -> None:
    columns, _ = make_batch("OnlineContrastiveLoss")
    columns = [column / 10 + columns[0].detach() for column in columns]
    labels = torch.full((ROWS,), only)
    value = build_loss(LossSpec("OnlineContrastiveLoss"), WIDTH, 2)(columns, labels)
    assert value.item() == pytest.approx(oracle_value("OnlineContrastiveLoss", columns, labels, {}).item(), abs=1e-9)
    assert value.item() > 0


def test_an_odd_width_has_no_halves() -> None:
    columns, labels = make_batch("AnglELoss")
    with pytest.raises(ConfigError, match="halves the sentence vector, whose width 23 is odd"):
        build_loss(LossSpec("AnglELoss"), WIDTH - 1, 2)([column[:, 1:] for column in columns], labels)
