"""Attention within the boundaries of packed sentences, registered with transformers under one name.

Rows of a packed batch are sorted by length, so that rows of equal length lie side by side and are an ordinary batch: two batched
matrix products for each distinct length, and no padding at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from workbench.models.numerics import small_products
from workbench.models.quick_dropout import keep_mask

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
    if packed_lengths is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
        return output, None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Products as small as these gain nothing from bf16, and the softmax wants float32 anyway.
    columns = (x.squeeze(0).float() for x in (query, key, value))
    with torch.autocast(query.device.type, enabled=False):
        attended = _WithinSentences.apply(*columns, _runs(packed_lengths), scale, dropout, sliding_window)
    return attended.to(query.dtype).unsqueeze(0), None


class _WithinSentences(torch.autograd.Function):
    """dropout(softmax(scale * q k')) v for all sentences of one length and all heads at a time (Vaswani et al. 2017).

    torch's own scaled_dot_product_attention gives the same numbers. On the CPU it takes half again as long for texts of ten
    tokens with dropout, and five times as long without, where its kernel for long texts steps in.
    """

    @staticmethod
    @small_products()
    def forward(  # type: ignore[override]
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        runs: list[tuple[int, int]],
        scale: float,
        dropout: float,
        window: int | None,
    ) -> Tensor:
        """Return the attended values, (tokens, heads, width), of query, key and value, each (heads, tokens, width)."""
        heads, tokens, width = query.shape
        query = query * scale
        attended = query.new_empty(tokens, heads, width)
        factors = _dropout_factors(sum(count * length * length for length, count in runs) * heads, dropout, query)
        saved: list[Tensor] = []
        for place, length, count, weights in _groups(runs, heads):
            q, k, v = (_cut(x.transpose(0, 1), place, length, count) for x in (query, key, value))
            scores = torch.bmm(q, k.mT)
            if window is not None and length > window:
                scores.masked_fill_(~_band(length, window, scores.device), float("-inf"))
            attention = scores.softmax(dim=-1)
            dropped = attention if factors is None else attention * factors[weights].view_as(attention)
            _paste(attended, torch.bmm(dropped, v), place, length, count)
            saved += (q, k, v, attention)
        ctx.runs, ctx.scale, ctx.dropped = runs, scale, factors is not None
        ctx.save_for_backward(*saved, *(() if factors is None else (factors,)))
        return attended

    @staticmethod
    @once_differentiable
    @small_products()
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Return the gradients of query, key and value, each (heads, tokens, width)."""
        tokens, heads, width = gradient.shape
        columns = [gradient.new_empty(tokens, heads, width) for _ in range(3)]
        kept_tensors = ctx.saved_tensors  # a checkpoint gives them out once
        factors = kept_tensors[-1] if ctx.dropped else None
        saved = iter(kept_tensors)
        for place, length, count, weights in _groups(ctx.runs, heads):
            q, k, v, attention = (next(saved) for _ in range(4))
            outer = _cut(gradient, place, length, count)
            inner = torch.bmm(outer, v.mT)
            dropped = attention
            if factors is not None:
                kept = factors[weights].view_as(attention)
                dropped = attention * kept
                inner *= kept
            # The derivative of softmax: each weight times how far its gradient lies above the weighted mean of its row.
            inner = attention * (inner - (inner * attention).sum(dim=-1, keepdim=True))
            for column, part in zip(columns, (inner @ k, inner.mT @ q, dropped.mT @ outer), strict=True):
                _paste(column, part, place, length, count)
        columns[0] *= ctx.scale
        return *(column.transpose(0, 1) for column in columns), None, None, None, None


def _dropout_factors(count: int, dropout: float, like: Tensor) -> Tensor | None:
    """Return what attention weights are multiplied by, (count,): 0, or what keeps their mean; None where nothing is dropped."""
    return keep_mask((count,), dropout).to(like).div_(1 - dropout or 1.0) if dropout else None


def _groups(runs: list[tuple[int, int]], heads: int) -> Iterator[tuple[slice, int, int, slice]]:
    """Return for each run of equal lengths: where its tokens stand, length, count, where its attention weights stand."""
    token = weight = 0
    for length, count in runs:
        tokens, weights = length * count, length * length * count * heads
        yield slice(token, token + tokens), length, count, slice(weight, weight + weights)
        token, weight = token + tokens, weight + weights


def _cut(x: Tensor, place: slice, length: int, count: int) -> Tensor:
    """Return some sentences of (tokens, heads, width) as (count * heads, length, width)."""
    heads, width = x.shape[1:]
    return x[place].unflatten(0, (count, length)).transpose(1, 2).reshape(count * heads, length, width)


def _paste(x: Tensor, part: Tensor, place: slice, length: int, count: int) -> None:
    """Write (count * heads, length, width) to where `_cut` takes it from."""
    heads, width = x.shape[1:]
    x[place].view(count, length, heads, width).copy_(part.view(count, heads, length, width).transpose(1, 2))


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
