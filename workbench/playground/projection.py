"""Sentence vectors drawn as points on a plane."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConfigError
from workbench.playground.vectors import units

METHODS = ("pca", "umap")
_NEIGHBOURS = 15

Points = NDArray[np.float32]


def available_methods() -> list[str]:
    """Return the methods that can be used here: PCA always, UMAP where the package umap-learn is installed."""
    return ["pca", *(["umap"] if find_spec("umap") is not None else [])]


def project(vectors: NDArray[Any], method: str = "pca") -> tuple[Points, list[float]]:
    """Return where to draw each vector, after scaling to length 1.

    Args:
        vectors: (n, width).
        method: One of `METHODS`.

    Returns:
        Points, float32 (n, 2), and for PCA the share of the variance that each axis shows; empty for UMAP.

    Raises:
        ConfigError: If there is no such method, or it is not installed.
    """
    if method not in available_methods():
        what = "is not installed (`pip install umap-learn`)" if method in METHODS else f"is none of {', '.join(METHODS)}"
        raise ConfigError(f"The method {method!r} {what}; use pca.", field="method")
    if method == "pca":
        return pca(units(vectors))
    import umap

    neighbours = min(_NEIGHBOURS, max(2, len(vectors) - 1))
    reducer = umap.UMAP(n_components=2, n_neighbors=neighbours, metric="cosine", random_state=0)
    return np.asarray(reducer.fit_transform(units(vectors)), dtype=np.float32), []


def pca(vectors: NDArray[Any]) -> tuple[Points, list[float]]:
    """Return the coordinates along the two directions of largest variance, and the share of the variance of each.

    The directions come from the singular value decomposition of the centred vectors. A direction's sign is arbitrary; the one is
    taken whose number of largest magnitude is positive, so that the same texts are always drawn the same way round.

    Args:
        vectors: (n, width).
    """
    numbers = np.asarray(vectors, dtype=np.float64)
    points = np.zeros((len(numbers), 2), dtype=np.float32)
    if len(numbers) < 2:
        return points, [0.0, 0.0]
    centred = numbers - numbers.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    kept = directions[:2]
    largest = np.abs(kept).argmax(axis=1)
    kept = kept * np.where(kept[np.arange(len(kept)), largest] < 0, -1.0, 1.0)[:, None]
    points[:, : len(kept)] = centred @ kept.T
    total = float((lengths**2).sum())
    shares = [float(length**2 / total) if total > 0 else 0.0 for length in lengths[:2]]
    return points, [*shares, 0.0][:2]


def turn_onto(points: Points, target: Points) -> Points:
    """Return points turned and mirrored to lie as near to `target` as they can; no distance between two of them changes.

    Orthogonal Procrustes (Schönemann 1966): with U S V' the decomposition of points' target, the turn is U V'.

    Args:
        points: (n, 2), centred here.
        target: (n, 2), of the same texts.
    """
    here, there = points - points.mean(axis=0), target - target.mean(axis=0)
    left, _, right = np.linalg.svd(here.T.astype(np.float64) @ there.astype(np.float64))
    return np.asarray(here @ (left @ right), dtype=np.float32)
