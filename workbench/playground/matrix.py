"""How similar texts are to a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.playground.process import EncoderProcess, ProgressCallback
from workbench.playground.vectors import cosines


def similarity(
    encoder: EncoderProcess, models: Sequence[str], texts: Sequence[str], tell: ProgressCallback | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return, for each model, the cosine similarity of every text with every other, (texts, texts).

    Args:
        encoder: The process that encodes.
        models: What to compare; each is asked once.
        texts: In the order of rows and columns.
        tell: Is told how far it is.

    Raises:
        WorkbenchError: If a model cannot be loaded or the texts cannot be encoded.
    """
    return {model: cosine_matrix(encoder.encode(model, texts, tell)) for model in dict.fromkeys(models)}


def find_read_alike(texts: Sequence[str], token_ids: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the pairs of different texts of which a model reads the same: what differs was cut off, or is unknown to it.

    Texts that differ only in what a tokenizer may drop, capitals and spaces, are not named: they are meant to be the same.

    Args:
        texts: The texts.
        token_ids: What the model reads of each, as `SentenceTransformer.tokenize` returns it.
    """
    first: dict[tuple[int, ...], int] = {}
    pairs = []
    for place, (text, ids) in enumerate(zip(texts, token_ids, strict=True)):
        found = first.setdefault(tuple(ids), place)
        if found != place and "".join(texts[found].casefold().split()) != "".join(text.casefold().split()):
            pairs.append((found, place))
    return pairs


def cosine_matrix(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine similarity of each vector with each other, (n, n) for (n, d); a zero vector is like nothing."""
    wide = np.asarray(vectors, dtype=np.float32)
    return cosines(wide, wide)
