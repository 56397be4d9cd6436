"""Attention within packed sentences on a GPU, against float64 on the CPU."""

import functools

import pytest
import torch
from torch import Tensor

from workbench.models.attention_gpu import _plain, attend_in_one
from workbench.models.layout import PackedLayout

pytestmark = pytest.mark.gpu

LENGTHS = [1, 2, 3, 3, 17, 64, 130, 512]
HEADS, SCALE = 2, 0.2
TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 4e-3, torch.float32: 1e-4}
WINDOW = 33


@functools.cache
def given(width: int) -> Tensor:
    """Queries, keys, values and the gradient of what comes out, (4, tokens, heads, width), numbers that bf16 has exactly."""
    shape = (4, sum(LENGTHS), HEADS, width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(width)).bfloat16().float()


@functools.cache
def wanted(width: int, window: int | None) -> Tensor:
    layout = PackedLayout(LENGTHS)
    *columns, outer = (x.double() for x in given(width))
    columns = [column.requires_grad_() for column in columns]
    attended = _plain(*columns, layout, SCALE, torch.ones((), dtype=torch.float64), window)
    return torch.stack([attended, *torch.autograd.grad(attended, columns, outer)]).detach()


@pytest.mark.parametrize("window", [None, WINDOW])
@pytest.mark.parametrize("width", [16, 24, 32, 64, 128])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_values_and_gradients(dtype: torch.dtype, width: int, window: int | None, device: torch.device) -> None:
    *columns, outer = (x.to(device, dtype) for x in given(width))
    columns = [column.transpose(0, 1).requires_grad_() for column in columns]
    attended = attend_in_one(*columns, PackedLayout(LENGTHS, device), SCALE, 0.0, window)
    assert attended.dtype == dtype
    gradients = [gradient.transpose(0, 1) for gradient in torch.autograd.grad(attended, columns, outer)]
    for found, exact in zip([attended, *gradients], wanted(width, window), strict=True):
        assert float((found.detach().cpu().double() - exact).abs().max() / exact.abs().max()) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_dropout_keeps_the_mean_and_repeats(dtype: torch.dtype, device: torch.device) -> None:
    columns = [x.to(device, dtype).transpose(0, 1) for x in given(32)[:3]]
    layout = PackedLayout(LENGTHS, device)
    plain = attend_in_one(*columns, layout, SCALE, 0.0, None)
    torch.manual_seed(0)
    draws = [attend_in_one(*columns, layout, SCALE, 0.1, None) for _ in range(100)]
    torch.manual_seed(0)
    assert torch.equal(attend_in_one(*columns, layout, SCALE, 0.1, None), draws[0])
    assert not torch.equal(draws[0], draws[1])
    mean = torch.stack(draws).float().mean(dim=0)
    # One weight of a short sentence may be all there is: its value comes with 1 / 0.9 or not at all.
    assert float((mean - plain.float()).abs().mean()) < 0.02 * float(plain.float().abs().max())
    assert float((draws[0].float() - plain.float()).norm() / plain.float().norm()) > 0.1


def test_the_kernels_serve(gpu: torch.device) -> None:
    """Slower ways give the same numbers, so nothing else would show that they are not taken."""
    from workbench.models.attention_gpu import try_kernel

    for dtype, name in ((torch.bfloat16, "flash"), (torch.float16, "flash"), (torch.float32, "efficient")):
        if dtype == torch.bfloat16 and torch.cuda.get_device_capability(gpu)[0] < 8:
            continue
        for dropped in (False, True):
            trial = try_kernel(name, gpu, dtype, 32, dropped, False)
            assert trial.right, f"{name}, {dtype}, dropout {dropped}: {trial.reason}"
