"""Arithmetic on sentence vectors: unit length, truncation, quantisation, and what a vector then takes.

The order is truncate, normalise, quantise: a shortened vector has another length, and int8 and binary are read off unit vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConfigError

Vectors = NDArray[np.float32]

PRECISIONS: Mapping[str, int] = {"float32": 32, "int8": 8, "binary": 1}
"""How a number of a vector can be stored, and the bits it takes."""

SMALLEST_WIDTH = 8


def units(vectors: NDArray[Any]) -> Vectors:
    """Return vectors scaled to length 1, float32 (n, width); a zero vector stays zero."""
    numbers = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(numbers, axis=-1, keepdims=True)
    return np.divide(numbers, lengths, out=np.zeros_like(numbers), where=lengths > 0)


def cosines(queries: NDArray[Any], corpus: NDArray[Any]) -> Vectors:
    """Return the cosine of every query with every text, float32 (queries, texts)."""
    return np.clip(units(queries) @ units(corpus).T, -1.0, 1.0)


def reduce_vectors(vectors: NDArray[Any], width: int, precision: str) -> Vectors:
    """Return what is left of vectors that are cut to `width` numbers and stored in `precision`, as numbers to compute with.

    int8: each dimension is scaled so that its largest magnitude among these vectors is 127, rounded, and scaled back.
    binary: the sign alone, as +1 or -1, so that the cosine of two is 1 - 2 x (share of differing bits).

    Args:
        vectors: (n, full width).
        width: How many of the first numbers stay.
        precision: A key of `PRECISIONS`.

    Returns:
        float32 (n, width).

    Raises:
        ConfigError: If there are fewer numbers than `width`, or no such precision.
    """
    if not 1 <= width <= vectors.shape[1]:
        raise ConfigError(f"`width` must be from 1 to {vectors.shape[1]}, got {width}.", field="width")
    short = units(vectors[:, :width])
    match precision:
        case "float32":
            return short
        case "int8":
            step = np.maximum(np.abs(short).max(axis=0, initial=0.0), np.float32(1e-12)) / np.float32(127)
            return np.asarray(np.rint(short / step) * step, dtype=np.float32)
        case "binary":
            return np.where(short > 0, np.float32(1), np.float32(-1))
    raise ConfigError(f"`precision` must be one of {', '.join(PRECISIONS)}, got {precision!r}.", field="precision")


def bytes_per_vector(width: int, precision: str) -> int:
    """Return the bytes that one stored vector takes; bits are packed, eight to a byte."""
    return -(-width * PRECISIONS[precision] // 8)


def widths_to_try(full: int) -> list[int]:
    """Return the full width and its halvings, down to a sixteenth and no further than `SMALLEST_WIDTH`."""
    return [full, *(full // part for part in (2, 4, 8, 16) if full // part >= SMALLEST_WIDTH)]
