"""Attention within packed sentences: torch's own numbers, sentence by sentence, and their gradients."""

import pytest
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import AttentionMaskInterface
from transformers.masking_utils import bidirectional_mask_function

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


def flash_stand_in(
    query, key, value, bounds, other_bounds, longest, other_longest, dropout, causal, debug, *, scale=None,
    window_size_left=None, window_size_right=None, drawn=None, backward_drops_others=False,
):  # fmt: skip
    """What torch's kernel of that name computes, for a CPU, which has none."""
    assert bounds.dtype == other_bounds.dtype == torch.int32 and longest == other_longest and not causal and not debug
    assert query.is_contiguous() and key.is_contiguous() and value.is_contiguous()
    assert query.shape[-1] % 8 == 0
    parts = []
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        assert end - start <= longest
        q, k, v = (x[start:end].transpose(0, 1).float() for x in (query, key, value))
        place = torch.arange(end - start)
        ahead = place - place.unsqueeze(1)
        left, right = (end if side is None else side for side in (window_size_left, window_size_right))
        scores = (q @ k.mT * scale).masked_fill(~((ahead >= -left) & (ahead <= right)), float("-inf"))
        weights = scores.softmax(dim=-1)
        if dropout:
            rate = dropout if drawn is None else drawn
            kept = (torch.rand(weights.shape) >= rate).float() / (1 - dropout)
            if backward_drops_others:
                others = (torch.rand(weights.shape) >= rate).float() / (1 - dropout)
                weights = weights * others + (weights * (kept - others)).detach()
            else:
                weights = weights * kept
        parts.append((weights @ v).transpose(0, 1).to(query.dtype))
    return torch.cat(parts), None, None, None, None


def efficient_stand_in(query, key, value, bias, bounds, other, longest, other_longest, dropout, mask, with_sums, *, scale=None):
    """What torch's kernel of that name computes."""
    assert bias is None and mask == 0 and len(query) == 1
    rows = (x.squeeze(0) for x in (query, key, value))
    attended, *_ = flash_stand_in(*rows, bounds, other, longest, other_longest, dropout, False, False, scale=scale)
    return attended.unsqueeze(0), None, None, None, None, None


def without_window(*given, window_size_left=None, window_size_right=None, **named):
    return flash_stand_in(*given, **named)


def dropping_another_share(*given, **named):
    return flash_stand_in(*given, drawn=0.3, **named)


def dropping_others_in_backward(*given, **named):
    return flash_stand_in(*given, backward_drops_others=True, **named)


def refusing_dropout(*given, **named):
    if given[7]:
        raise RuntimeError("no dropout here")
    return flash_stand_in(*given, **named)


def an_older_one(query, key, value, bounds, other_bounds):
    raise AssertionError("it takes fewer arguments, so it is not reached")


class Kernels:
    """Counts the calls of both."""

    def __init__(self, flash, efficient):
        self.calls = {"flash": 0, "efficient": 0}
        self.ways = {"flash": flash, "efficient": efficient}

    def __getitem__(self, name):
        def counted(*given, **named):
            self.calls[name] += 1
            return self.ways[name](*given, **named)

        return counted


@pytest.fixture
def kernels(request, monkeypatch):
    """A torch with kernels for packed sentences; the parameter is the one for half precision."""
    found = Kernels(getattr(request, "param", flash_stand_in), efficient_stand_in)
    for name in found.calls:
        monkeypatch.setattr(torch.ops.aten, f"_{name}_attention_forward", found[name], raising=False)
    attention_gpu.try_kernel.cache_clear()
    yield found
    attention_gpu.try_kernel.cache_clear()


def attend(dtype=torch.bfloat16, dropout=0.0, window=3):
    given = [column.squeeze(0).to(dtype) for column in columns()]
    return attend_in_one(*given, LAYOUT, 0.3, dropout, window), given


def exact(given, window):
    return one_by_one(*(column.float().unsqueeze(0) for column in given), 0.3, window).squeeze(0)


@pytest.mark.parametrize("window", [None, 3, 40])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_gpu_takes_the_kernel_without_padding(kernels, dtype, window):
    with torch.inference_mode():  # as when texts are encoded; the trial needs gradients all the same
        found, given = attend(dtype, window=window)
    name = "efficient" if dtype == torch.float32 else "flash"
    padded = name == "efficient" and window == 3  # a window wider than the longest sentence is none
    assert (kernels.calls[name] == 0) == padded
    assert found.shape == exact(given, window).shape and found.dtype == dtype
    assert float((found.float() - exact(given, window)).abs().max()) < (1e-5 if dtype == torch.float32 else 0.01)
    tried = kernels.calls[name]
    attend(dtype, window=window)
    assert kernels.calls[name] == (0 if padded else tried + 1), "it is tried once"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_dropout_is_the_kernels_own(kernels, dtype):
    torch.manual_seed(4)
    found, given = attend(dtype, dropout=0.25, window=None)
    name = "efficient" if dtype == torch.float32 else "flash"
    assert kernels.calls[name] > 1
    after_trial = torch.get_rng_state()
    torch.manual_seed(4)
    again, _ = attend(dtype, dropout=0.25, window=None)
    assert torch.equal(found, again) and torch.equal(torch.get_rng_state(), after_trial), "the trial draws no number of its own"
    mean = torch.stack([attend(dtype, dropout=0.25, window=None)[0].float() for _ in range(500)]).mean(dim=0)
    assert float((mean - exact(given, None)).abs().max()) < 0.15
    nothing, _ = attend(dtype, dropout=1.0)
    assert not nothing.any(), "a share that no kernel takes"


@pytest.mark.parametrize("kernels", [an_older_one, without_window], indirect=True)
def test_a_kernel_that_is_not_right_is_not_used(kernels, caplog):
    with caplog.at_level("INFO", "workbench"):
        found, given = attend()
    tried = kernels.calls["flash"]
    attend()
    assert kernels.calls["flash"] == tried
    assert float((found.float() - exact(given, 3)).abs().max()) < 0.01
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "Attention with a window is padded on this GPU, since torch's kernel for packed sentences does not serve"
    ]


@pytest.mark.parametrize(
    ("kernels", "reason"),
    [
        (dropping_another_share, "it dropped 0.3"),
        (dropping_others_in_backward, "its numbers are off by"),
        (refusing_dropout, "no dropout here"),
    ],
    indirect=["kernels"],
)
def test_a_kernel_whose_dropout_is_not_right_serves_without(kernels, reason, caplog):
    with caplog.at_level("INFO", "workbench"):
        attend(dropout=0.1, window=None)
    tried = kernels.calls["flash"]
    attend(dropout=0.1, window=None)
    assert kernels.calls["flash"] == tried
    (record,) = caplog.records
    assert "Attention with dropout is padded" in record.message and reason in record.message
    attend(window=None)
    assert kernels.calls["flash"] > tried


def test_without_the_kernels_everything_is_padded(monkeypatch, caplog):
    attention_gpu.try_kernel.cache_clear()
    monkeypatch.setitem(attention_gpu._KERNELS, "flash", lambda *given: torch.ops.aten.no_such_kernel(*given))
    with caplog.at_level("INFO", "workbench"):
        found, given = attend()
    assert float((found.float() - exact(given, 3)).abs().max()) < 0.01
    assert "no_such_kernel" in caplog.records[0].message
    attention_gpu.try_kernel.cache_clear()


@pytest.mark.parametrize("width", [4, 6, 24])
def test_heads_of_any_width_are_served(kernels, width):
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(HEADS, sum(LENGTHS), width, generator=generator) for _ in range(3)]
    found = attend_in_one(*given, LAYOUT, 0.3, 0.0, None)
    wanted = one_by_one(*(column.unsqueeze(0) for column in given), 0.3).squeeze(0)
    assert kernels.calls["efficient"] > 1
    torch.testing.assert_close(found, wanted, atol=2e-6, rtol=2e-5)


def test_float32_queries_are_taken_in_half_precision_under_autocast(kernels):
    """Encoders that turn queries and keys by angles make them float32 again."""
    query, key, value = (column.squeeze(0) for column in columns())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attend_in_one(query, key, value.bfloat16(), LAYOUT, 0.3, 0.0, None)
    assert found.dtype == torch.bfloat16 and kernels.calls == {"flash": kernels.calls["flash"], "efficient": 0}
    assert float((found.float() - exact((query, key, value), None)).abs().max()) < 0.02


@pytest.mark.parametrize("warm", [False, True])
def test_the_trial_may_fall_into_a_checkpoint(kernels, warm):
    """A checkpoint counts what is saved within it, once more in backward: what the trial saves must not be among it."""
    given = [column.squeeze(0).bfloat16().requires_grad_() for column in columns()]
    if warm:
        attend()
    attended = checkpoint(lambda *x: attend_in_one(*x, LAYOUT, 0.3, 0.0, 3), *given, use_reentrant=False)
    found = torch.autograd.grad(attended.float().square().sum(), given)
    plain = attend_in_one(*given, LAYOUT, 0.3, 0.0, 3)
    for gradient, wanted in zip(found, torch.autograd.grad(plain.float().square().sum(), given), strict=True):
        assert torch.equal(gradient, wanted)


@pytest.mark.parametrize(("name", "dtype"), [("flash", torch.bfloat16), ("flash", torch.float16), ("efficient", torch.float32)])
def test_this_torch_has_the_kernels_under_these_arguments(name, dtype):
    """By their shapes alone, which needs no GPU."""
    column = torch.empty(7, 2, 16, dtype=dtype, device="meta", requires_grad=True)
    bounds = torch.empty(4, dtype=torch.int32, device="meta")
    attended = attention_gpu._KERNELS[name](column, column, column, bounds, 5, 0.3, 0.1, 3 if name == "flash" else None)
    assert attended.shape == column.shape and attended.dtype == dtype and attended.requires_grad


def test_cudnn_is_kept_out_of_padded_attention():
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        attention_gpu.leave_cudnn_out()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def test_packed_batches_never_get_a_mask() -> None:
    """transformers makes one of tokens by tokens where it takes itself to be traced, as while a CUDA graph is recorded."""
    attention.register()
    make = AttentionMaskInterface()[attention.PACKED_ATTENTION]
    sizes = {"batch_size": 2, "q_length": 3, "kv_length": 3, "q_offset": 0, "kv_offset": 0, "device": torch.device("cpu")}
    options = {"mask_function": bidirectional_mask_function, "allow_is_bidirectional_skip": False}
    assert make(attention_mask=None, **sizes, **options) is None
    mask = make(attention_mask=torch.tensor([[True, True, True], [True, False, False]]), **sizes, **options)
    assert mask.shape == (2, 1, 3, 3) and mask[1, 0].sum(dim=1).tolist() == [1, 1, 1]
