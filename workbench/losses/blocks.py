"""Losses that compare every row of a batch with every other, without the whole matrix at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

MOST_SCORES = 2**26
"""Numbers of a matrix that are held at a time: 256 MiB in float32. One of 32 thousand by 32 thousand pairs would take 4 GiB."""


def in_row_blocks(function: Callable[..., Tensor], rows: Sequence[Tensor], columns: int) -> Tensor:
    """Return what a function gives for each block of rows of a matrix, (blocks,).

    Where the matrix is held whole there is one block. Where it is not, each block is computed once more in backward instead
    of being kept.

    Args:
        function: Takes a block of each of `rows`, makes their part of the matrix, and returns a scalar. It draws no random numbers.
        rows: What the rows of the matrix are made of, each with one entry a row.
        columns: Columns of the matrix.
    """
    at_once = max(1, MOST_SCORES // max(columns, 1))
    if at_once >= len(rows[0]):
        return function(*rows).unsqueeze(0)
    # Split, not sliced: the gradient of a slice is as large as what it is cut from.
    blocks = zip(*(entries.split(at_once) for entries in rows), strict=True)
    return torch.stack([checkpoint(function, *block, use_reentrant=False, preserve_rng_state=False) for block in blocks])
