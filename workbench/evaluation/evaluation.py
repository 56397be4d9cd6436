"""What an evaluator is, what it returns, and which one fits a kind of data set."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.recipe.kinds import KINDS

Encode = Callable[[list[str]], NDArray[np.float32]]
"""Texts to vectors, (number of texts, width)."""

Vectors = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Evaluation:
    """The result of one model on one data set.

    Attributes:
        metrics: Metric key -> value; the keys are sentence-transformers' own.
        primary_metric: The metric models are compared by; higher is better.
        rows: Number of rows measured.
        units: For each independent unit of measurement (a row, or a query), the row it stands for.
        statistic: The primary metric over some of the units, given by their indices with repeats.
    """

    metrics: Mapping[str, float]
    primary_metric: str
    rows: int
    units: NDArray[np.int64]
    statistic: Callable[[NDArray[np.int64]], float]

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
    """Return vectors scaled to length 1; a zero vector stays zero."""
    wide = vectors.astype(np.float64)
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
