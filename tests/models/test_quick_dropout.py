"""Dropout by quick random numbers: the share, the mean, the gradient, and that it repeats."""

import pytest
import torch
from torch import nn

from workbench.models.quick_dropout import QuickDropout, keep_mask, replace_dropout


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.93])
def test_each_number_is_dropped_with_the_probability_asked_for(dropout):
    torch.manual_seed(0)
    mask = keep_mask((1000, 1000), dropout)
    assert mask.shape == (1000, 1000)
    assert mask.dtype == torch.bool
    deviation = (dropout * (1 - dropout) / 1e6) ** 0.5
    assert abs(float(mask.double().mean()) - (1 - dropout)) < 5 * deviation
    # The four numbers of one draw know nothing of each other.
    lanes = mask.reshape(-1, 4).double()
    assert float(torch.corrcoef(lanes.T).fill_diagonal_(0).abs().max()) < 0.01


@pytest.mark.parametrize(("dropout", "share"), [(0.0, 1.0), (1.0, 0.0)])
def test_none_and_all(dropout, share):
    assert float(keep_mask((7, 3), dropout).float().mean()) == share


@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3, 1), (0, 4)])
def test_shapes_that_are_no_multiple_of_a_draw(shape):
    assert keep_mask(shape, 0.5).shape == shape


def test_the_same_seed_drops_the_same_and_two_calls_drop_others():
    torch.manual_seed(4)
    first, second = keep_mask((500,), 0.5), keep_mask((500,), 0.5)
    torch.manual_seed(4)
    assert torch.equal(keep_mask((500,), 0.5), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_kept_is_scaled_up_and_so_is_its_gradient(dtype):
    layer = QuickDropout(0.25)
    x = torch.ones(64, 64, dtype=dtype, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.dtype == dtype
    assert set(y.detach().unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75, dtype=dtype))}
    assert torch.equal(x.grad, y.detach())
    assert torch.equal(layer.eval()(x), x)


def test_every_dropout_of_a_model_is_replaced_and_nothing_else():
    model = nn.Sequential(nn.Dropout(0.3), nn.Linear(2, 2), nn.ModuleList([nn.Dropout(0.1), nn.AlphaDropout(0.2)]))
    names = list(model.state_dict())
    replace_dropout(model)
    assert [type(module) for module in (model[0], model[2][0], model[2][1])] == [QuickDropout, QuickDropout, nn.AlphaDropout]
    assert (model[0].p, model[2][0].p) == (0.3, 0.1)
    assert list(model.state_dict()) == names
