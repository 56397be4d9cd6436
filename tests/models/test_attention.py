"""Attention within packed sentences: torch's own numbers, sentence by sentence, and their gradients."""

import pytest
import torch
from torch.nn import functional

from workbench.models.attention import _WithinSentences, packed_attention

HEADS, WIDTH = 3, 4
LENGTHS = [1, 2, 2, 5, 5, 5, 9]
RUNS = [(1, 1), (2, 2), (5, 3), (9, 1)]


def columns(dtype=torch.float32, requires_grad=False):
    generator = torch.Generator().manual_seed(0)
    shape = (1, sum(LENGTHS), HEADS * WIDTH)
    # As an encoder makes them: (1, tokens, heads * width) seen as (1, heads, tokens, width).
    made = (torch.randn(shape, generator=generator, dtype=dtype).view(1, -1, HEADS, WIDTH).transpose(1, 2) for _ in range(3))
    return [column.requires_grad_(requires_grad) for column in made]


def one_by_one(query, key, value, scale=None, window=None):
    parts = []
    for q, k, v in zip(*(x.split(LENGTHS, dim=2) for x in (query, key, value)), strict=True):
        place = torch.arange(q.shape[2])
        band = None if window is None else (place.unsqueeze(1) - place).abs() < window
        parts.append(functional.scaled_dot_product_attention(q, k, v, attn_mask=band, scale=scale))
    return torch.cat(parts, dim=2).transpose(1, 2)


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("window", [None, 3])
def test_values_and_gradients_are_those_of_each_sentence_alone(scale, window):
    given, alone = columns(requires_grad=True), columns(requires_grad=True)
    packed, weights = packed_attention(
        torch.nn.Identity(), *given, None, scaling=scale, packed_lengths=LENGTHS, sliding_window=window
    )
    wanted = one_by_one(*alone, scale, window)
    assert weights is None
    assert packed.shape == wanted.shape
    torch.testing.assert_close(packed, wanted, atol=2e-6, rtol=2e-5)
    outer = torch.randn_like(wanted)
    found = torch.autograd.grad(packed, given, outer)
    for gradient, expected in zip(found, torch.autograd.grad(wanted, alone, outer), strict=True):
        torch.testing.assert_close(gradient, expected, atol=4e-6, rtol=2e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("window", [None, 3])
def test_the_gradient_is_that_of_small_steps(dropout, window):
    given = [column.squeeze(0).detach().requires_grad_() for column in columns(torch.float64)]

    def attend(*inputs):
        torch.manual_seed(3)  # the same weights are dropped at every step
        return _WithinSentences.apply(*inputs, RUNS, 0.5, dropout, window)

    assert torch.autograd.gradcheck(attend, given)


def test_dropout_keeps_the_mean_and_drops_the_share_asked_for():
    lengths = [40] * 50
    ones = torch.ones(1, 2, 2000, 8)
    torch.manual_seed(0)
    dropped, _ = packed_attention(torch.nn.Identity(), ones, ones, ones, None, dropout=0.25, packed_lengths=lengths)
    # Every weight is 1 / 40, so each value is the share kept / 0.75.
    shares = dropped[0, :, :, 0] * 0.75
    assert abs(float(shares.mean()) - 0.75) < 0.005
    assert float(shares.std()) == pytest.approx((0.75 * 0.25 / 40) ** 0.5, rel=0.1)
    torch.manual_seed(0)
    again, _ = packed_attention(torch.nn.Identity(), ones, ones, ones, None, dropout=0.25, packed_lengths=lengths)
    assert torch.equal(dropped, again)
    nothing, _ = packed_attention(torch.nn.Identity(), ones, ones, ones, None, dropout=1.0, packed_lengths=lengths)
    assert not nothing.any()


def test_bf16_is_attended_in_float32_and_given_back_as_bf16():
    exact = one_by_one(*columns())
    given = [column.bfloat16() for column in columns()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        packed, _ = packed_attention(torch.nn.Identity(), *given, None, packed_lengths=LENGTHS)
    assert packed.dtype == torch.bfloat16
    rounded = one_by_one(*(column.float() for column in given))
    assert float((packed.float() - rounded).abs().max()) < 0.01
    assert float((packed.float() - exact).abs().max()) < 0.05
