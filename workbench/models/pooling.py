"""From token vectors to one sentence vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.errors import ConfigError
from workbench.models.folder import LEGACY_BOOLEANS
from workbench.models.layer import Features, Layer
from workbench.models.layout import Layout
from workbench.recipe.layers import POOLING_MODES

_TINY = 1e-9


class Pooling(Layer):
    """Combine the token vectors of a text into one vector; several modes are concatenated in the order given.

    With x_t the vector of token t and w_t = t + 1 counted from the row's first real token: `mean` is the sum of x_t over
    their number; `mean_sqrt_len_tokens` the sum over the square root of their number; `weightedmean` the sum of w_t x_t over the
    sum of w_t; `max` the largest number of each dimension; `cls` the first and `lasttoken` the last token's vector
    (Reimers and Gurevych 2019; weightedmean: Muennighoff 2022).

    Args:
        word_embedding_dimension: Width of a token vector.
        pooling_mode: One mode, or several.
        include_prompt: Whether the tokens of a prompt take part.

    Raises:
        ConfigError: If a mode is unknown, or none is given.
    """

    def __init__(
        self, word_embedding_dimension: int, pooling_mode: str | Sequence[str] = "mean", include_prompt: bool = True
    ) -> None:
        super().__init__()
        modes = (pooling_mode,) if isinstance(pooling_mode, str) else tuple(pooling_mode)
        if not modes or any(mode not in POOLING_MODES for mode in modes):
            raise ConfigError(
                f"`pooling_mode` must be one or several of {', '.join(POOLING_MODES)}, got {pooling_mode!r}.", field="pooling_mode"
            )
        self.word_embedding_dimension = word_embedding_dimension
        self.pooling_mode = modes
        self.include_prompt = include_prompt

    def get_sentence_embedding_dimension(self) -> int:
        """Return the width of the sentence vector."""
        return self.word_embedding_dimension * len(self.pooling_mode)

    get_embedding_dimension = get_sentence_embedding_dimension

    def forward(self, features: Features) -> Features:
        """Read `token_embeddings` and `layout`, write `sentence_embedding` (rows, width x modes)."""
        x: Tensor = features["token_embeddings"]
        layout: Layout = features["layout"]
        prompt_length = features.get("prompt_length", 0)
        if not self.include_prompt and prompt_length:
            layout = layout.without_prompt(prompt_length)
        pooled = [_pool(mode, x, layout) for mode in self.pooling_mode]
        features["sentence_embedding"] = torch.cat(pooled, dim=-1)
        return features

    def config(self) -> dict[str, Any]:  # noqa: D102
        switches = {key: mode in self.pooling_mode for mode, key in LEGACY_BOOLEANS.items()}
        return {"word_embedding_dimension": self.word_embedding_dimension, **switches, "include_prompt": self.include_prompt}


def _pool(mode: str, x: Tensor, layout: Layout) -> Tensor:
    if mode == "cls":
        return layout.first(x)
    if mode == "lasttoken":
        return layout.last(x)
    if mode == "max":
        return layout.segment_max(x)
    # Sums of hundreds of half-precision numbers lose digits, so they are taken in float32.
    wide = x if x.dtype == torch.float64 else x.float()
    if mode == "weightedmean":
        weights = ((layout.positions() + 1) * layout.keep).to(wide.dtype)
        total = layout.segment_sum(layout.expand(weights))
        return (layout.segment_sum(wide * layout.expand(weights)) / total.clamp(min=_TINY)).to(x.dtype)
    count = layout.counts().to(wide.dtype).unsqueeze(-1).clamp(min=_TINY)
    divisor = count if mode == "mean" else count.sqrt()
    return (layout.segment_sum(wide) / divisor).to(x.dtype)
