"""Attention within packed sentences on the CPU, where padding costs more than launching.

Rows of a packed batch are sorted by length, so that rows of equal length lie side by side and are an ordinary batch: two batched
matrix products for each distinct length, and no padding at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from workbench.models.layout import PackedLayout, band
from workbench.models.numerics import small_products
from workbench.models.quick_dropout import dropout_factors


def attend_by_length(
    query: Tensor, key: Tensor, value: Tensor, layout: PackedLayout, scale: float, dropout: float, window: int | None
) -> Tensor:
    """Attend within each sentence, all sentences of one length at a time.

    Args:
        query: (heads, tokens, width).
        key: Shaped like query.
        value: Shaped like query.
        layout: Which tokens belong to which row, rows of one length side by side.
        scale: Factor on the scores.
        dropout: Share of the attention weights set to zero.
        window: Tokens this far apart, or farther, do not see each other; None where all do.

    Returns:
        The attended values, (tokens, heads, width).
    """
    # Products as small as these gain nothing from bf16, and the softmax wants float32 anyway.
    columns = (x.float() for x in (query, key, value))
    with torch.autocast(query.device.type, enabled=False):
        attended: Tensor = _WithinSentences.apply(*columns, _runs(layout.lengths), scale, dropout, window)
    return attended.to(query.dtype)


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
        weights_in_all = sum(count * length * length for length, count in runs) * heads
        factors = dropout_factors((weights_in_all,), dropout, query) if dropout else None
        saved: list[Tensor] = []
        for place, length, count, weights in _groups(runs, heads):
            q, k, v = (_cut(x.transpose(0, 1), place, length, count) for x in (query, key, value))
            scores = torch.bmm(q, k.mT)
            if window is not None and length > window:
                scores.masked_fill_(~band(length, window, scores.device), float("-inf"))
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
