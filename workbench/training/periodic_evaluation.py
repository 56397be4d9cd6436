"""What an evaluation shows beside its metric: how far right and wrong partners are apart, and the user's own sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation import Encode, Evaluation, Evaluator, measure_separation
from workbench.evaluation.evaluation import unit_vectors
from workbench.json_text import dump_json

WATCH_FILE = "watch.jsonl"


class PeriodicEvaluation:
    """Measures a model on the validation part, and on the watch-list.

    Args:
        kind: Kind of the data set.
        validation: Holds the validation part, or None where there is none.
        watch: The user's own sentences.
        folder: Gets `watch.jsonl`: a line for each evaluation with its step and the matrix of cosines.
    """

    def __init__(self, kind: str, validation: Evaluator | None, watch: Sequence[str], folder: Path) -> None:
        self._kind = kind
        self._validation = validation
        self._watch = list(watch)
        self._path = folder / WATCH_FILE

    @property
    def validates(self) -> bool:
        """Whether there is a validation part to pick the best model on."""
        return self._validation is not None

    def measure(self, encode: Encode, step: int) -> tuple[Evaluation, dict[str, Any]] | None:
        """Record the watch-list, and measure the validation part where there is one.

        Args:
            encode: Texts to vectors, of the model as it is now.
            step: Optimiser steps taken.

        Returns:
            The evaluation, and further fields of its point of the curve: `cosine`, counts of right and wrong partners.
        """
        remember = _CachedEncode(encode)
        if self._watch:
            self._record(remember, step)
        if self._validation is None:
            return None
        result = self._validation(remember)
        separation = measure_separation(self._kind, self._validation, remember)
        return result, {} if separation is None else {"cosine": separation.to_dict()}

    def _record(self, encode: Encode, step: int) -> None:
        vectors = unit_vectors(encode(self._watch))
        line = {"step": step, "matrix": np.round(vectors @ vectors.T, 4).tolist()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # One write per line, so that a reader sees all of it or none.
        with self._path.open("ab", buffering=0) as file:
            file.write(dump_json(line).encode() + b"\n")


class _CachedEncode:
    """Encodes each text once, however often it is asked for: the model stays the same during one evaluation."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._position: dict[str, int] = {}
        self._vectors: NDArray[np.float32] | None = None

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self._position]
        if new:
            vectors = self._encode(new)
            self._vectors = vectors if self._vectors is None else np.concatenate([self._vectors, vectors])
            for text in new:
                self._position[text] = len(self._position)
        assert self._vectors is not None, "someone asked for no texts at all"
        return self._vectors[[self._position[text] for text in texts]]
