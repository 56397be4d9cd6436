"""What an evaluator is, what it returns, and which one fits a kind of data set."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ModelError
from workbench.recipe.kinds import KINDS

Encode = Callable[[list[str]], NDArray[np.float32]]
"""Texts to vectors, (number of texts, width)."""

Vectors = NDArray[np.floating[Any]]


def encode_batch(device: str) -> int:
    """Return how many texts a run computes together when it measures. Who wants its very numbers computes the same texts together.

    Args:
        device: Kind of device. A GPU waits for launches where there are few.
    """
    return 512 if device == "cuda" else 64


@dataclass(frozen=True)
class Details:
    """What one model makes of the single rows.

    Attributes:
        columns: What it says of each row: name -> (rows,).
        error: How wrong that is, (rows,); larger is worse. What it measures is said in `ERROR_WORDS`.
        cosines: Cosines of the pairs that can be told apart by `groups`, (pairs,).
        groups: 1 for a match and 0 for none, or the class of each pair, (pairs,).
        targets: What the mean cosine may be held against, 0 to 1, (pairs,); None where the data name no such number.
    """

    columns: Mapping[str, NDArray[Any]]
    error: NDArray[np.float64]
    cosines: NDArray[np.float64]
    groups: NDArray[np.int64]
    targets: NDArray[np.float64] | None = None


ERROR_WORDS: Mapping[str, str] = {
    "scored_pairs": "how far the pair's place by cosine is from its place by score, as a share of all test rows",
    "labelled_pairs": "share of the rows with the other label that the pair stands on the wrong side of",
    "class_pairs": "1 minus the probability that the probe gives the right class",
    "pairs": "1 minus 1/rank of the right partner among all partners of the test part",
    "triplets": "cosine with the wrong text minus cosine with the right one; above 0 the order is wrong",
}
"""Kind of data set -> what the error of a row is."""


@dataclass(frozen=True)
class Evaluation:
    """The result of one model on one data set.

    Attributes:
        metrics: Metric key -> value; the keys are sentence-transformers' own. NaN where it cannot be measured on these rows.
        primary_metric: The metric models are compared by; higher is better.
        rows: Number of rows measured.
        units: For each independent unit of measurement (a row, or a query), the row it stands for.
        statistic: The primary metric over some of the units, given by their indices with repeats.
        describe: Gives what the model makes of the single rows; asked for at the end of a run, not at every evaluation.
    """

    metrics: Mapping[str, float]
    primary_metric: str
    rows: int
    units: NDArray[np.int64]
    statistic: Callable[[NDArray[np.int64]], float]
    describe: Callable[[], Details] | None = None

    @property
    def value(self) -> float:
        """The primary metric."""
        return self.metrics[self.primary_metric]


class Evaluator(ABC):
    """Measures a model on rows held out from training.

    Args:
        columns: The text columns in the order of the kind's roles, all of one length.
        labels: Scores, labels or class indices, (rows,), or None.
    """

    def __init__(self, columns: Sequence[Sequence[str]], labels: Sequence[float] | NDArray[Any] | None = None) -> None:
        self.columns = [list(column) for column in columns]
        self.labels = None if labels is None else np.asarray(labels)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0])

    @abstractmethod
    def __call__(self, encode: Encode) -> Evaluation:
        """Measure one model, given by how it encodes texts."""

    def embed(self, encode: Encode) -> list[Vectors]:
        """Return the unit vectors of each column, (rows, width), each distinct text encoded once."""
        position: dict[str, int] = {}
        for column in self.columns:
            for text in column:
                position.setdefault(text, len(position))
        vectors = unit_vectors(encode(list(position)))
        return [vectors[[position[text] for text in column]] for column in self.columns]

    def cosine(self, encode: Encode) -> NDArray[np.float64]:
        """Return the cosine of the first two columns, (rows,)."""
        first, second = self.embed(encode)[:2]
        return np.asarray((first * second).sum(axis=1), dtype=np.float64)


def unit_vectors(vectors: Vectors) -> Vectors:
    """Return vectors scaled to length 1; a zero vector stays zero.

    Raises:
        ModelError: If one holds NaN or infinities.
    """
    wide = vectors.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ModelError("The model gives vectors that hold NaN or infinite numbers, so it cannot be measured.", field="model")
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))


def build_evaluator(kind: str, columns: Sequence[Sequence[str]], labels: Sequence[float] | NDArray[Any] | None) -> Evaluator:
    """Return the evaluator that fits a kind of data set.

    Args:
        kind: A key of `KINDS`.
        columns: The text columns in the order of the kind's roles.
        labels: The value column, or None.
    """
    module, _, name = KINDS[kind].evaluator.partition(":")
    evaluator: Evaluator = getattr(importlib.import_module(module), name)(columns, labels)
    return evaluator
