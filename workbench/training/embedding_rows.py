"""Trains those word vectors that can change: the ones of tokens that occur in the training part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.models import SentenceTransformer
from workbench.training.tokens import Tokens

WORTH_IT = 0.75
"""Beyond this share of the rows, there is too little to leave out."""


class UsedEmbeddingRows(nn.Module):
    """The rows of the word vectors that occur, as a parameter of their own; the whole table is not trained meanwhile.

    A row that never occurs has no gradient and no momentum, so AdamW without weight decay leaves it as it is: training the others
    alone gives the same numbers, without a gradient, two moments and an update for rows that stay. In a small encoder the table
    is half of all parameters.

    Args:
        table: The word vectors, (vocabulary, width).
        occurs: Which rows occur, bool (vocabulary,).
    """

    def __init__(self, table: nn.Embedding, occurs: NDArray[np.bool_]) -> None:
        super().__init__()
        rows = torch.from_numpy(np.flatnonzero(occurs)).to(table.weight.device)
        place = torch.full((table.num_embeddings,), -1, device=rows.device)
        place[rows] = torch.arange(len(rows), device=rows.device)
        self.weight = nn.Parameter(table.weight.detach()[rows])
        self._table = [table]  # in a list, for it is no part of this module
        self._rows, self._place = rows, place
        padding = table.padding_idx
        self._padding = int(place[padding]) if padding is not None and occurs[padding] else None

    @contextmanager
    def trained(self) -> Iterator[None]:
        """Let the encoder look its words up here wherever a gradient is wanted; the table has the result afterwards."""
        (table,) = self._table
        hook = table.register_forward_hook(self._look_up)
        table.weight.requires_grad_(False)
        try:
            yield
        finally:
            hook.remove()
            self.write_back()
            table.weight.requires_grad_(True)

    @torch.no_grad()
    def write_back(self) -> None:
        """Put the rows where they come from, as whatever measures or saves the encoder will find them there."""
        self._table[0].weight[self._rows] = self.weight

    def _look_up(self, table: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if not torch.is_grad_enabled():
            return None
        return F.embedding(self._place[arguments[0]], self.weight, self._padding)


def find_occurring_words(model: SentenceTransformer, tokens: Tokens, weight_decay: float) -> UsedEmbeddingRows | None:
    """Return the word vectors to train alone, None where all must be trained or there is little to gain.

    Args:
        model: The network.
        tokens: The training part.
        weight_decay: Of the optimiser; it pulls at every row, occurring or not.
    """
    table = model.encoder.auto_model.get_input_embeddings()
    if weight_decay or type(table) is not nn.Embedding or not table.weight.requires_grad:
        return None
    uses = sum(weight is table.weight for _, weight in model.named_parameters(remove_duplicate=False))
    if uses != 1 or table.max_norm is not None or table.scale_grad_by_freq or table.sparse:
        return None
    occurs = tokens.occurring(table.num_embeddings)
    occurs[model.encoder.tokenizer.pad_token_id or 0] = True  # what padded batches are filled with
    return UsedEmbeddingRows(table, occurs) if occurs.mean() <= WORTH_IT else None
