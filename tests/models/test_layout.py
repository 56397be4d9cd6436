"""The two layouts say the same about the same sentences."""

import pytest
import torch

from workbench.models.layout import Layout, PackedLayout, PaddedLayout

LENGTHS = [1, 3, 3, 5]
WIDTH = 4


def both(left: bool = False, dtype: torch.dtype = torch.float64) -> tuple[tuple[torch.Tensor, Layout], tuple[torch.Tensor, Layout]]:
    """Return the same sentences packed and padded, garbage in the padding."""
    torch.manual_seed(0)
    rows = [torch.randn(length, WIDTH, dtype=dtype) for length in LENGTHS]
    longest = max(LENGTHS)
    padded = torch.full((len(rows), longest, WIDTH), 1e3, dtype=dtype)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(longest - len(row), longest) if left else slice(0, len(row))
        padded[index, place], mask[index, place] = row, 1
    return (torch.cat(rows), PackedLayout(LENGTHS)), (padded, PaddedLayout(mask))


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("prompt_length", [0, 1, 2, 4])
@pytest.mark.parametrize("method", ["segment_sum", "segment_max", "first", "last"])
def test_packed_equals_padded(method: str, prompt_length: int, left: bool) -> None:
    (packed_x, packed), (padded_x, padded) = both(left)
    a = getattr(packed.without_prompt(prompt_length), method)(packed_x)
    b = getattr(padded.without_prompt(prompt_length), method)(padded_x)
    if method == "first":  # a row with nothing left gives its first token, which is padding on the left
        kept = packed.without_prompt(prompt_length).counts() > 0
        a, b = a[kept], b[kept]
    assert torch.equal(a.isinf(), b.isinf())
    assert torch.allclose(a, b, atol=1e-12)


def test_counts_positions_and_padding_back() -> None:
    (packed_x, packed), (padded_x, padded) = both()
    assert packed.counts().tolist() == padded.counts().tolist() == LENGTHS
    assert packed.without_prompt(2).counts().tolist() == padded.without_prompt(2).counts().tolist() == [0, 1, 1, 3]
    assert packed.positions().tolist() == [0, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4]
    assert torch.equal(packed.to_padded(packed_x), padded.to_padded(padded_x))
    assert torch.equal(packed.padded_mask(), padded.padded_mask())


@pytest.mark.parametrize("method", ["segment_sum", "segment_max", "first", "last", "to_padded"])
def test_gradients_reach_the_tokens(method: str) -> None:
    for x, layout in both():
        x.requires_grad_()
        getattr(layout, method)(x).sum().backward()
        assert x.grad is not None and x.grad.abs().sum() > 0
