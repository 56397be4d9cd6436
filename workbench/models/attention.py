"""Attention within the boundaries of packed sentences, registered with transformers under one name."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from workbench.models.attention_cpu import attend_by_length
from workbench.models.attention_gpu import attend_in_one
from workbench.models.layout import PackedLayout, StaticLayout

PACKED_ATTENTION = "workbench_packed"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packed: PackedLayout | None = None,
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
        packed: Which tokens belong to which row, rows of one length side by side; None for a padded batch.
        sliding_window: Tokens this far apart, or farther, do not see each other; None where all do. In a padded batch the mask
            says so.
        **kwargs: Whatever else the model hands to its attention function.

    Returns:
        The attended values, (1 or rows, tokens, heads, head width), and None for the weights.
    """
    if packed is None:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
        return output, None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    columns = query.squeeze(0), key.squeeze(0), value.squeeze(0)
    by_length = query.device.type == "cpu" and not isinstance(packed, StaticLayout)
    attend = attend_by_length if by_length else attend_in_one
    return attend(*columns, packed, scale, dropout, sliding_window).unsqueeze(0), None


def _mask(attention_mask: Tensor | None = None, **kwargs: Any) -> Tensor | None:
    """Return the mask of `sdpa` for padded batches. Packed ones come without a mask, and without a mask they go.

    transformers would leave it out by itself, but not while a CUDA graph is recorded: there it makes one of tokens by tokens.
    """
    masked: Tensor | None = None if attention_mask is None else sdpa_mask(attention_mask=attention_mask, **kwargs)
    return masked


def register() -> None:
    """Make the name known to transformers; padded batches get the same mask as with `sdpa`."""
    AttentionInterface.register(PACKED_ATTENTION, packed_attention)
    AttentionMaskInterface.register(PACKED_ATTENTION, _mask)
