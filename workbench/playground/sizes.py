"""How far shorter and coarser vectors agree with the full ones, where nothing tells how good those are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import DataError
from workbench.evaluation.embedding_similarity import spearman
from workbench.playground.vectors import PRECISIONS, bytes_per_vector, cosines, reduce_vectors, widths_to_try

NEIGHBOURS = 10
FEWEST_TEXTS = 3


@dataclass(frozen=True)
class Size:
    """One way to store vectors, and what it keeps of the full ones.

    Attributes:
        width: Numbers of a vector.
        precision: A key of `PRECISIONS`.
        bytes: Bytes of a vector.
        spearman: Rank correlation between the similarities of all pairs of texts and those with the full vectors;
            None where it is not measurable, because all are equally similar.
        neighbours: Share of each text's nearest neighbours with the full vectors that are still among the nearest.
    """

    width: int
    precision: str
    bytes: int
    spearman: float | None
    neighbours: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)

    @property
    def megabytes_per_million(self) -> float:
        """Megabytes (10^6 bytes) of a million vectors."""
        return float(self.bytes)


def measure_sizes(vectors: NDArray[Any]) -> list[Size]:
    """Return every width with every precision, the full one first.

    Args:
        vectors: The full sentence vectors of some texts, (n, width).

    Raises:
        DataError: If there are too few texts to compare rankings.
    """
    count, full = vectors.shape
    if count < FEWEST_TEXTS:
        raise DataError(f"To see what a smaller vector keeps takes at least {FEWEST_TEXTS} different texts, got {count}.", "texts")
    pairs = np.triu_indices(count, 1)
    nearest = min(NEIGHBOURS, count - 1)
    whole = cosines(vectors, vectors)
    wanted = _neighbours(whole, nearest)
    sizes = []
    for width in widths_to_try(full):
        for precision in PRECISIONS:
            small = reduce_vectors(vectors, width, precision)
            matrix = cosines(small, small)
            kept = (_neighbours(matrix, nearest) & wanted).sum() / (count * nearest)
            sizes.append(
                Size(
                    width,
                    precision,
                    bytes_per_vector(width, precision),
                    _measurable(spearman(matrix[pairs], whole[pairs])),
                    float(kept),
                )
            )
    return sizes


def _measurable(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _neighbours(matrix: NDArray[Any], nearest: int) -> NDArray[np.bool_]:
    """Return for each text which others are among its nearest, (n, n); equal cosines go by the order of the texts."""
    others = matrix.astype(np.float64)
    np.fill_diagonal(others, -np.inf)
    order = np.argsort(-others, axis=1, kind="stable")[:, :nearest]
    chosen = np.zeros(matrix.shape, dtype=np.bool_)
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen
