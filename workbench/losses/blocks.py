"""Losses that compare every row of a batch with every other, without the whole matrix at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

MOST_SCORES = 2**26
"""Numbers of a matrix that are held at a time: 256 MiB in float32. One of 32 thousand by 32 thousand pairs would take 4 GiB."""


def in_row_blocks(function: Callable[[slice], Tensor], rows: int, columns: int) -> Tensor:
    """Return what a function gives for each block of rows of a matrix, (blocks,).

    Where the matrix is held whole there is one block. Where it is not, each block is computed once more in backward instead
    of being kept.

    Args:
        function: Takes a slice of rows, makes their part of the matrix, and returns a scalar. It draws no random numbers.
        rows: Rows of the matrix.
        columns: Its columns.
    """
    at_once = max(1, MOST_SCORES // max(columns, 1))
    if at_once >= rows:
        return function(slice(0, rows)).unsqueeze(0)
    blocks = (slice(start, min(start + at_once, rows)) for start in range(0, rows, at_once))
    return torch.stack([checkpoint(function, block, use_reentrant=False, preserve_rng_state=False) for block in blocks])
