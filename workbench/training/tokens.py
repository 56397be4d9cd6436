"""All texts of a data set as word pieces, tokenised once before the first step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.models import SentenceTransformer

_CHUNK = 4096


class Tokens:
    """The distinct token sequences of several text columns.

    Two texts that give the same word pieces ("Hello", "hello " for a lower-casing tokenizer) are one sequence.

    Args:
        model: Whose tokenizer is used.
        columns: Text columns of one length.

    Attributes:
        columns: Number of the sequence for each text, int64 (columns, rows).
        lengths: Word pieces of each sequence, int64 (sequences,).
        truncated: Number of distinct texts that were as long as the encoder takes, so probably cut off.
    """

    def __init__(self, model: SentenceTransformer, columns: Sequence[Sequence[str]]) -> None:
        texts = {text: index for index, text in enumerate(dict.fromkeys(text for column in columns for text in column))}
        number: dict[bytes, int] = {}
        pieces: list[NDArray[np.int32]] = []
        sequence_of_text = np.empty(len(texts), dtype=np.int64)
        self.truncated = 0
        distinct = list(texts)
        for start in range(0, len(distinct), _CHUNK):
            for offset, ids in enumerate(model.tokenize(distinct[start : start + _CHUNK])):
                array = np.asarray(ids, dtype=np.int32)
                key = array.tobytes()
                if key not in number:
                    number[key] = len(pieces)
                    pieces.append(array)
                self.truncated += len(ids) >= model.max_seq_length
                sequence_of_text[start + offset] = number[key]
        self.lengths = np.array([len(array) for array in pieces], dtype=np.int64)
        self._flat = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32)
        self._start = np.concatenate([[0], np.cumsum(self.lengths)])
        self.columns = np.array([[sequence_of_text[texts[text]] for text in column] for column in columns], dtype=np.int64)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.columns.shape[1])

    def ids(self, sequence: int) -> list[int]:
        """Return the word pieces of a sequence."""
        return self._flat[self._start[sequence] : self._start[sequence + 1]].tolist()
