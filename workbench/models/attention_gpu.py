"""Attention within packed sentences on a GPU, where launching costs more than padding: all sentences in one kernel.

In bf16 or fp16 and without dropout that is flash attention for sequences of any lengths (Dao 2023), which computes no padding.
Elsewhere queries, keys and values alone are padded, for this one product; all else in the encoder stays packed.
"""

from __future__ import annotations

import functools
import logging

import torch
from torch import Tensor
from torch.nn import functional

from workbench.models.layout import PackedLayout, band

logger = logging.getLogger(__name__)

_TRIAL_LENGTHS = [1, 3, 3, 17, 40]
_TRIAL_HEADS = 2
_TRIAL_TOLERANCE = 0.02
"""Relative; the two ways round bf16 in different places."""


def attend_in_one(
    query: Tensor, key: Tensor, value: Tensor, layout: PackedLayout, scale: float, dropout: float, window: int | None
) -> Tensor:
    """Attend within each sentence, all sentences at once.

    Args:
        query: (heads, tokens, width).
        key: Shaped like query.
        value: Shaped like query.
        layout: Which tokens belong to which row.
        scale: Factor on the scores.
        dropout: Share of the attention weights set to zero.
        window: Tokens this far apart, or farther, do not see each other; None where all do.

    Returns:
        The attended values, (tokens, heads, width).
    """
    columns = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
    if (
        not dropout
        and query.dtype in (torch.bfloat16, torch.float16)
        and _flash_is_right(query.device, query.dtype, query.shape[-1])
    ):
        return _flash(*columns, layout, scale, window)
    return _padded(*columns, layout, scale, dropout, window)


def _padded(
    query: Tensor, key: Tensor, value: Tensor, layout: PackedLayout, scale: float, dropout: float, window: int | None
) -> Tensor:
    """Return the attended values, (tokens, heads, width), of three of that shape, by torch's own kernels for padded rows."""
    q, k, v = (layout.to_padded(x).transpose(1, 2) for x in (query, key, value))
    mask = layout.padded_mask()[:, None, None, :]
    if window is not None and window < layout.longest:
        # What stands in the padding looks at everything: a row of the softmax over nothing would be no number.
        near = band(layout.longest, window, query.device) | ~layout.padded_mask()[:, None, :, None]
        mask = mask & near
    attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
    return layout.from_padded(attended.transpose(1, 2))


def _flash(query: Tensor, key: Tensor, value: Tensor, layout: PackedLayout, scale: float, window: int | None) -> Tensor:
    """Return what `_padded` does, without padding, and without dropout, which the kernel does not have."""
    from torch.nn.attention.varlen import varlen_attn  # not every torch has it, and not every machine needs it

    side = -1 if window is None else window - 1
    bounds = layout.boundaries
    attended = varlen_attn(
        query.contiguous(),
        key.contiguous(),
        value.contiguous(),
        bounds,
        bounds,
        layout.longest,
        layout.longest,
        scale=scale,
        window_size=(side, side),
    )
    assert isinstance(attended, Tensor)
    return attended


@functools.cache
def _flash_is_right(device: torch.device, dtype: torch.dtype, width: int) -> bool:
    """Return whether this torch has the kernel for this GPU and head width, and it gives the numbers of the padded way.

    Values and gradients, with a window and without, found out once by trying: the kernel is young, and what it takes differs from
    version to version.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (3, sum(_TRIAL_LENGTHS), _TRIAL_HEADS, width)
    columns = torch.randn(shape, generator=generator).to(device, dtype)
    layout = PackedLayout(_TRIAL_LENGTHS, device)
    outer = torch.randn(shape[1:], generator=generator).to(device, dtype)

    def tried(window: int | None, flash: bool) -> Tensor:
        q, k, v = (column.clone().requires_grad_() for column in columns)
        attended = _flash(q, k, v, layout, 0.3, window) if flash else _padded(q, k, v, layout, 0.3, 0.0, window)
        return torch.stack([attended, *torch.autograd.grad(attended, (q, k, v), outer)]).detach().float()

    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            errors = []
            for window in (None, 5):
                wanted, found = tried(window, flash=False), tried(window, flash=True)
                errors.append(float((found - wanted).abs().max() / wanted.abs().max()))
        right = all(error < _TRIAL_TOLERANCE for error in errors)  # False too where it is no number
        reason = f"its numbers are off by up to {max(errors):.2g}"
    except (ImportError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        right, reason = False, (str(error).strip().splitlines() or [type(error).__name__])[0]
    if not right:
        logger.info("Attention is padded on this GPU, since torch's kernel for packed sentences does not serve: %s", reason)
    return right
