"""A loss by blocks of rows is the same loss, and never holds the whole matrix."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from workbench.losses import CoSENTLoss, MultipleNegativesRankingLoss, blocks

ROWS, WIDTH = 37, 5


class LargestTensor(TorchDispatchMode):
    """Remembers how many numbers the largest tensor made within it has."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


def columns(count, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(ROWS, WIDTH, generator=generator, dtype=dtype, requires_grad=True) for _ in range(count)]


CASES = [
    pytest.param(MultipleNegativesRankingLoss(), 2, None, id="ranking"),
    pytest.param(MultipleNegativesRankingLoss(scale=3.0), 4, None, id="ranking with negatives"),
    pytest.param(CoSENTLoss(), 2, torch.arange(ROWS).double() % 6, id="CoSENT"),
    # Most blocks of rows have nothing above them, so nothing to say.
    pytest.param(CoSENTLoss(), 2, torch.tensor([1.0] * (ROWS - 1) + [0.0]).double(), id="CoSENT, nearly all equal"),
    pytest.param(CoSENTLoss(), 2, torch.zeros(ROWS).double(), id="CoSENT, all equal"),
]


@pytest.mark.parametrize("rows_at_once", [1, 5, 36])
@pytest.mark.parametrize(("loss", "count", "labels"), CASES)
def test_value_and_gradient_are_those_of_the_whole_matrix(monkeypatch, loss, count, labels, rows_at_once):
    whole = columns(count)
    plain = loss(whole, labels)
    plain.backward()
    monkeypatch.setattr(blocks, "MOST_SCORES", rows_at_once * ROWS * max(1, count - 1))
    given = columns(count)
    value = loss(given, labels)
    value.backward()
    assert value.item() == pytest.approx(plain.item(), rel=1e-12, abs=1e-12)
    for column, expected in zip(given, whole, strict=True):
        assert torch.isfinite(column.grad).all()
        torch.testing.assert_close(column.grad, expected.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("loss", "count", "labels"), CASES)
def test_no_tensor_is_larger_than_a_block_forward_and_backward(monkeypatch, loss, count, labels):
    limit = 4 * ROWS * max(1, count - 1)
    monkeypatch.setattr(blocks, "MOST_SCORES", limit)
    given = columns(count)
    with LargestTensor() as largest:
        loss(given, labels).backward()
    assert largest.numbers <= max(limit, ROWS * WIDTH * max(1, count - 1))
    monkeypatch.undo()
    with LargestTensor() as largest:
        loss(columns(count), labels).backward()
    assert largest.numbers >= ROWS * ROWS


@pytest.mark.parametrize(("loss", "count", "labels"), CASES)
def test_no_block_is_kept_for_backward(monkeypatch, loss, count, labels):
    def kept_numbers():
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda tensor: tensor):
            loss(columns(count), labels)
        return sum(kept)

    matrix = ROWS * ROWS * max(1, count - 1)
    whole = kept_numbers()
    monkeypatch.setattr(blocks, "MOST_SCORES", 4 * ROWS * max(1, count - 1))
    assert kept_numbers() < whole - 0.9 * matrix


def test_the_gradient_of_blocks_is_that_of_small_steps(monkeypatch):
    monkeypatch.setattr(blocks, "MOST_SCORES", 10 * ROWS)
    labels = torch.arange(ROWS).double() % 3
    for loss, values in ((MultipleNegativesRankingLoss(), None), (CoSENTLoss(), labels)):
        assert torch.autograd.gradcheck(lambda *given, loss=loss, values=values: loss(given, values), columns(2))
