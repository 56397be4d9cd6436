"""Attention within packed sentences: torch's own numbers, sentence by sentence, and their gradients."""

import sys
from types import ModuleType

import pytest
import torch
from torch.nn import functional

from workbench.models import attention, attention_gpu
from workbench.models.attention import packed_attention
from workbench.models.attention_cpu import _WithinSentences, attend_by_length
from workbench.models.attention_gpu import attend_in_one
from workbench.models.layout import PackedLayout

HEADS, WIDTH = 3, 4
LENGTHS = [1, 2, 2, 5, 5, 5, 9]
LAYOUT = PackedLayout(LENGTHS)
RUNS = [(1, 1), (2, 2), (5, 3), (9, 1)]


@pytest.fixture(params=[attend_by_length, attend_in_one], ids=["cpu", "gpu"])
def way(request, monkeypatch):
    """Attention goes the CPU's way, or the GPU's, here."""
    monkeypatch.setattr(attention, "attend_by_length", request.param)


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
@pytest.mark.usefixtures("way")
def test_values_and_gradients_are_those_of_each_sentence_alone(scale, window):
    given, alone = columns(requires_grad=True), columns(requires_grad=True)
    packed, weights = packed_attention(torch.nn.Identity(), *given, None, scaling=scale, packed=LAYOUT, sliding_window=window)
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


@pytest.mark.usefixtures("way")
def test_dropout_keeps_the_mean_and_drops_the_share_asked_for():
    layout = PackedLayout([40] * 50)
    ones = torch.ones(1, 2, 2000, 8)
    torch.manual_seed(0)
    dropped, _ = packed_attention(torch.nn.Identity(), ones, ones, ones, None, dropout=0.25, packed=layout)
    # Every weight is 1 / 40, so each value is the share kept / 0.75.
    shares = dropped[0, :, :, 0] * 0.75
    assert abs(float(shares.mean()) - 0.75) < 0.005
    assert float(shares.std()) == pytest.approx((0.75 * 0.25 / 40) ** 0.5, rel=0.1)
    torch.manual_seed(0)
    again, _ = packed_attention(torch.nn.Identity(), ones, ones, ones, None, dropout=0.25, packed=layout)
    assert torch.equal(dropped, again)
    nothing, _ = packed_attention(torch.nn.Identity(), ones, ones, ones, None, dropout=1.0, packed=layout)
    assert not nothing.any()


def test_bf16_is_attended_in_float32_and_given_back_as_bf16():
    exact = one_by_one(*columns())
    given = [column.bfloat16() for column in columns()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        packed, _ = packed_attention(torch.nn.Identity(), *given, None, packed=LAYOUT)
    assert packed.dtype == torch.bfloat16
    rounded = one_by_one(*(column.float() for column in given))
    assert float((packed.float() - rounded).abs().max()) < 0.01
    assert float((packed.float() - exact).abs().max()) < 0.05


def varlen_stand_in(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1)):
    """What torch's kernel of that name computes, for a CPU, which has none; windows are (left, right), -1 for no end."""
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert query.is_contiguous() and key.is_contiguous() and value.is_contiguous()
    parts = []
    for start, end in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
        assert end - start <= max_q == max_k
        q, k, v = (x[start:end].transpose(0, 1) for x in (query, key, value))
        place = torch.arange(end - start)
        ahead = place - place.unsqueeze(1)
        left, right = (side if side >= 0 else end for side in window_size)
        parts.append(
            functional.scaled_dot_product_attention(q, k, v, (ahead >= -left) & (ahead <= right), scale=scale).transpose(0, 1)
        )
    return torch.cat(parts)


def without_window(*args, window_size=(-1, -1), **kwargs):
    return varlen_stand_in(*args, **kwargs)


def an_older_one(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False):
    raise AssertionError("it knows no scale, so it is not reached")


@pytest.fixture
def kernel(request, monkeypatch):
    """A torch whose kernel for packed sentences is the parameter; None for a torch without."""
    module = None
    if request.param is not None:
        module = ModuleType("varlen")
        module.calls = 0

        def counted(*args, **kwargs):
            module.calls += 1
            return request.param(*args, **kwargs)

        module.varlen_attn = counted
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", module)
    attention_gpu._flash_is_right.cache_clear()
    yield module
    attention_gpu._flash_is_right.cache_clear()


def attend_in_half(dropout=0.0, window=3):
    given = [column.squeeze(0).bfloat16() for column in columns()]
    return attend_in_one(*given, LAYOUT, 0.3, dropout, window), given


@pytest.mark.parametrize("kernel", [varlen_stand_in], indirect=True)
@pytest.mark.parametrize("window", [None, 3, 40])
def test_a_gpu_takes_the_kernel_without_padding_in_half_precision(kernel, window):
    with torch.inference_mode():  # as when texts are encoded; the trial needs gradients all the same
        found, given = attend_in_half(window=window)
    assert kernel.calls == 3, "twice to try it, once for the sentences"
    wanted = one_by_one(*(column.float().unsqueeze(0) for column in given), 0.3, window).squeeze(0)
    assert found.shape == wanted.shape
    assert found.dtype == torch.bfloat16
    assert float((found.float() - wanted).abs().max()) < 0.01
    attend_in_half(dropout=0.1)
    attend_in_one(*(column.squeeze(0) for column in columns()), LAYOUT, 0.3, 0.0, window)
    assert kernel.calls == 3, "it has no dropout, and no float32"


@pytest.mark.parametrize("kernel", [None, without_window, an_older_one], indirect=True)
def test_a_kernel_that_is_not_there_or_not_right_is_not_used(kernel, caplog):
    with caplog.at_level("INFO", "workbench"):
        found, given = attend_in_half()
    tried = 0 if kernel is None else kernel.calls
    attend_in_half()
    assert kernel is None or kernel.calls == tried
    wanted = one_by_one(*(column.float().unsqueeze(0) for column in given), 0.3, 3).squeeze(0)
    assert float((found.float() - wanted).abs().max()) < 0.01
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "Attention is padded on this GPU, since torch's kernel for packed sentences does not serve"
    ]
