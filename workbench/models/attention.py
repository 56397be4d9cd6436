"""Attention within the boundaries of packed sentences, registered with transformers under one name.

Rows of a packed batch are sorted by length, so that rows of equal length lie side by side and a view turns them into an
ordinary batch: one call of scaled_dot_product_attention for each distinct length, and no padding at all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

PACKED_ATTENTION = "workbench_packed"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packed_lengths: list[int] | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within each sentence.

    Args:
        module: The attention layer, for what the padded path asks of it.
        query: (1, heads, tokens, head width) packed, (rows, heads, longest, head width) padded.
        key: Shaped like query.
        value: Shaped like query.
        attention_mask: Only for padded batches.
        dropout: Share of the attention weights set to zero.
        scaling: Factor on the scores; None for 1 / sqrt(head width).
        packed_lengths: Row lengths in the order of the tokens, equal ones side by side; None for a padded batch.
        sliding_window: Tokens this far apart, or farther, do not see each other; None where all do. In a padded batch the mask
            says so.
        **kwargs: Whatever else the model hands to its attention function.

    Returns:
        The attended values, (1 or rows, tokens, heads, head width), and None for the weights.
    """
    if query.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # In float32: the gradient of torch's bf16 attention takes a CPU three to seven times as long.
        q, k, v = (x.float() for x in (query, key, value))
        with torch.autocast("cpu", enabled=False):
            return packed_attention(module, q, k, v, attention_mask, dropout, scaling, packed_lengths, sliding_window, **kwargs)
    if packed_lengths is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
        return output, None
    heads, width = query.shape[1], query.shape[3]
    runs = _runs(packed_lengths)
    parts = []
    # Split, not slices: the gradient of a slice is as large as the whole batch, and there would be one for each length.
    pieces = (x.squeeze(0).split([length * count for length, count in runs], dim=1) for x in (query, key, value))
    for (length, count), *piece in zip(runs, *pieces, strict=True):
        # (heads, count * length, width) -> (count, heads, length, width), a view for query, key and value alike
        q, k, v = (x.view(heads, count, length, width).transpose(0, 1) for x in piece)
        band = None if sliding_window is None or length <= sliding_window else _band(length, sliding_window, query.device)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=band, dropout_p=dropout, scale=scaling)
        parts.append(attended.transpose(1, 2).reshape(count * length, heads, width))
    return torch.cat(parts).unsqueeze(0), None


def _runs(lengths: list[int]) -> list[tuple[int, int]]:
    """Return (length, how many in a row) for each run of equal lengths."""
    runs: list[tuple[int, int]] = []
    for length in lengths:
        if runs and runs[-1][0] == length:
            runs[-1] = (length, runs[-1][1] + 1)
        else:
            runs.append((length, 1))
    return runs


def _band(length: int, window: int, device: torch.device) -> Tensor:
    """Return which tokens of a row see each other, (length, length)."""
    place = torch.arange(length, device=device)
    return (place.unsqueeze(1) - place).abs() < window


def register() -> None:
    """Make the name known to transformers; padded batches get the same mask as with `sdpa`."""
    AttentionInterface.register(PACKED_ATTENTION, packed_attention)
    AttentionMaskInterface.register(PACKED_ATTENTION, sdpa_mask)
