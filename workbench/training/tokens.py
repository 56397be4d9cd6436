"""All texts of a data set as tokens, tokenised once before the first step and kept for the next run."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tokenizers
from numpy.typing import NDArray

from workbench.data.texts import TextColumn, chunks, digest_texts, number_digests
from workbench.models import SentenceTransformer
from workbench.models.token_ids import TokenIds
from workbench.training.token_cache import TokenArrays, TokenCache, read_arrays

_PIECES_AT_ONCE = 1 << 20


class Tokens:
    """The distinct token sequences of several text columns.

    Two texts that give the same tokens ("Hello", "hello " for a lower-casing tokenizer) are one sequence. The columns are read
    a chunk at a time, twice, and what is kept of a text is a digest and its tokens: no column is ever in memory as a whole.

    Args:
        model: Whose tokenizer is used.
        columns: Text columns of one length.
        cache: Where the tokens lie, memory-mapped, for the next run with the same texts and tokenizer; None keeps them in memory.

    Attributes:
        columns: Number of the sequence for each text, int64 (columns, rows).
        lengths: Tokens of each sequence, int64 (sequences,).
        truncated: Number of distinct texts that are longer than the encoder reads.
        cached: Whether an earlier run had tokenised the same.

    Raises:
        RunError: If the cache cannot be written.
    """

    def __init__(self, model: SentenceTransformer, columns: Sequence[TextColumn], cache: TokenCache | None = None) -> None:
        digests = digest_texts(columns)
        self.cached = False
        if cache is None:
            with TemporaryDirectory() as folder:
                _tokenise(model, columns, digests, Path(folder))
                arrays = read_arrays(Path(folder), mapped=False)
        else:
            key = _key(model, len(columns), digests)
            arrays, self.cached = cache.get(key, lambda folder: _tokenise(model, columns, digests, folder))
        self.columns = arrays.columns.reshape(len(columns), len(columns[0]))
        self.lengths = arrays.lengths
        self.truncated = int(arrays.truncated[0])
        self._starts, self._pieces = arrays.starts, arrays.pieces

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.columns.shape[1])

    def occurring(self, vocabulary: int) -> NDArray[np.bool_]:
        """Return which tokens occur, bool (vocabulary,).

        Args:
            vocabulary: Number of tokens there are.
        """
        occurs = np.zeros(vocabulary, dtype=np.bool_)
        for start in range(0, len(self._pieces), _PIECES_AT_ONCE):
            occurs[self._pieces[start : start + _PIECES_AT_ONCE]] = True
        return occurs

    def gather(self, sequences: NDArray[np.int64]) -> TokenIds:
        """Return the tokens of some sequences."""
        lengths = self.lengths[sequences]
        ends = np.cumsum(lengths)
        # Where each piece stands: behind the beginning of its sequence by as much as it is behind the beginning of its copy.
        places = np.repeat(self._starts[sequences] - (ends - lengths), lengths) + np.arange(lengths.sum())
        return TokenIds(self._pieces[places].astype(np.int64), lengths)

    def ids(self, sequence: int) -> list[int]:
        """Return the tokens of a sequence."""
        start = self._starts[sequence]
        return self._pieces[start : start + self.lengths[sequence]].tolist()


def _key(model: SentenceTransformer, columns: int, digests: NDArray[np.uint64]) -> str:
    """Return a name for what tokenising gives: it depends on the texts, in their order, and on the tokenizer and its limit."""
    tokenizer = json.loads(model.encoder.tokenizer.backend_tokenizer.to_str())
    for habit in ("truncation", "padding"):  # as the last call left them; every call sets its own
        tokenizer.pop(habit, None)
    settings = [
        tokenizer,
        tokenizers.__version__,
        model.encoder.tokenizer.truncation_side,
        model.encoder.do_lower_case,
        model.max_seq_length,
        columns,
        "exact count of truncated texts",  # those of exactly the limit were taken for truncated before
    ]
    key = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    key.update(digests.data)
    return key.hexdigest()


def _tokenise(model: SentenceTransformer, columns: Sequence[TextColumn], digests: NDArray[np.uint64], folder: Path) -> None:
    """Write the arrays of some columns into a folder, the tokens as they come."""
    text_of_place, first_places = number_digests(digests)
    pieces_digests = bytearray()
    length_parts = [np.empty(0, dtype=np.int64)]
    truncated = 0
    with TokenArrays.path(folder, "pieces").open("wb") as stream:
        for texts in _at(columns, first_places):
            token_ids = model.tokenize(texts)
            lengths = np.fromiter(map(len, token_ids), dtype=np.int64, count=len(token_ids))
            pieces = np.fromiter(itertools.chain.from_iterable(token_ids), dtype=np.int32, count=int(lengths.sum())).tobytes()
            truncated += model.encoder.count_tokens(
                [texts[row] for row in np.flatnonzero(lengths >= model.max_seq_length)]
            ).cut_texts
            ends = (4 * np.cumsum(lengths)).tolist()
            for start, end in itertools.pairwise([0, *ends]):
                pieces_digests += hashlib.blake2b(pieces[start:end], digest_size=16).digest()
            stream.write(pieces)
            length_parts.append(lengths)
    lengths = np.concatenate(length_parts)
    starts = np.cumsum(lengths) - lengths
    # Texts that differ and still give the same tokens are one sequence: the first of them stands for all.
    sequence_of_text, first_texts = number_digests(np.frombuffer(pieces_digests, dtype=np.uint64).reshape(-1, 2))
    for name, values in (
        ("columns", sequence_of_text[text_of_place]),
        ("lengths", lengths[first_texts]),
        ("starts", starts[first_texts]),
        ("truncated", np.array([truncated])),
    ):
        values.astype(np.int64, copy=False).tofile(TokenArrays.path(folder, name))


def _at(columns: Sequence[TextColumn], places: NDArray[np.int64]) -> Iterator[list[str]]:
    """Yield the texts at some places, counted through all columns one after the other, some thousand at a time.

    Args:
        columns: The columns.
        places: In rising order.
    """
    start = 0
    for column in columns:
        for texts in chunks(column):
            low, high = np.searchsorted(places, (start, start + len(texts)))
            if low < high:
                yield [texts[place] for place in (places[low:high] - start).tolist()]
            start += len(texts)
