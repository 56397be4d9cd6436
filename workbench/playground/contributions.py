"""Which words of two texts their cosine comes from. Runs in the encoder process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import DataError

if TYPE_CHECKING:
    from workbench.models import SentenceTransformer

EXACT = "exact"
OCCLUSION = "occlusion"

_LINEAR_MODES = frozenset({"mean", "mean_sqrt_len_tokens", "weightedmean"})
_AFTER_LINEAR = frozenset({"Normalize", "Dropout"})


@dataclass(frozen=True)
class _Side:
    """One text as the model sees it.

    Attributes:
        ids: All tokens, special tokens and prompt included.
        words: For each word, the indices of its pieces.
        labels: What each word looks like.
        special: Whether it is a token of the model's own, such as [CLS].
        cut: Whether the text goes on beyond what the model reads.
    """

    ids: list[int]
    words: list[list[int]]
    labels: list[str]
    special: list[bool]
    cut: bool


def contributions(model: SentenceTransformer, first: str, second: str) -> dict[str, Any]:
    """Return what each word of two texts contributes to their cosine.

    Where the sentence vector is a weighted sum of token vectors (mean pooling, possibly normalised), the cosine is a sum over pairs
    of tokens, cos = sum_ij w_i x_i . w_j y_j / (|u| |v|), and a word's contribution is its part of that sum: exact, and the words of
    each text add up to the cosine. Elsewhere a word's contribution is by how much the cosine falls when it is left out (occlusion).

    Args:
        model: In evaluation mode.
        first: One text.
        second: The other.

    Returns:
        `method`, `cosine`, and `sides`: for each text `words`, `scores`, `special` (lists of one length) and `cut`.

    Raises:
        DataError: If a text has no words.
    """
    import torch

    prefix = model._prompt(None, None)
    sides = [_read(model, text, prefix) for text in (first, second)]
    with torch.inference_mode():
        if not prefix and is_linear(model):
            cosine, scores = exact(_weighted_tokens(model, sides[0].ids), _weighted_tokens(model, sides[1].ids))
            method = EXACT
            grouped = [[float(part[word].sum()) for word in side.words] for part, side in zip(scores, sides, strict=True)]
        else:
            method = OCCLUSION
            sides = [_without_special(side) for side in sides]
            cosine, grouped = _occlude(model, sides, model._prompt_length(prefix))
    return {
        "method": method,
        "cosine": cosine,
        "sides": [
            {"words": side.labels, "scores": values, "special": side.special, "cut": side.cut}
            for side, values in zip(sides, grouped, strict=True)
        ],
    }


def is_linear(model: SentenceTransformer) -> bool:
    """Return whether a sentence vector is a weighted sum of its token vectors, up to its length."""
    layers: list[Any] = list(model)[1:]
    modes: tuple[str, ...] = getattr(layers[0], "pooling_mode", ()) if layers else ()
    return len(modes) == 1 and modes[0] in _LINEAR_MODES and all(type(layer).__name__ in _AFTER_LINEAR for layer in layers[1:])


def exact(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the cosine of two sums of weighted token vectors, and each token's part of it.

    Args:
        x: (tokens of the first text, width).
        y: (tokens of the second text, width).
    """
    scale = float(np.linalg.norm(x.sum(axis=0)) * np.linalg.norm(y.sum(axis=0)))
    pairs = x @ y.T / scale if scale > 0 else np.zeros((len(x), len(y)))
    return float(pairs.sum()), (pairs.sum(axis=1), pairs.sum(axis=0))


def _read(model: SentenceTransformer, text: str, prefix: str) -> _Side:
    encoder = model.encoder
    cleaned = (prefix + text).strip()
    cleaned = cleaned.lower() if encoder.do_lower_case else cleaned
    encoded = encoder.tokenizer(
        [cleaned], truncation=True, max_length=encoder.max_seq_length, return_offsets_mapping=True, return_special_tokens_mask=True
    )
    ids, spans, special = (encoded[name][0] for name in ("input_ids", "offset_mapping", "special_tokens_mask"))
    word_ids = encoded.word_ids(0)
    words: list[list[int]] = []
    previous: Any = None
    for index, word in enumerate(word_ids):
        is_prompt = not special[index] and spans[index][1] <= len(prefix)
        if not is_prompt:
            if words and word is not None and word == previous:
                words[-1].append(index)
            else:
                words.append([index])
        previous = word
    labels = [_label(encoder.tokenizer, cleaned, spans, ids, word) for word in words]
    flags = [bool(special[word[0]]) for word in words]
    if all(flags):
        raise DataError(f"The model finds no words in the text {text!r}; type another.", field="texts")
    return _Side(list(ids), words, labels, flags, bool(encoded.encodings[0].overflowing))


def _label(tokenizer: Any, text: str, spans: Sequence[tuple[int, int]], ids: Sequence[int], word: Sequence[int]) -> str:
    start, end = spans[word[0]][0], spans[word[-1]][1]
    return text[start:end].strip() or str(tokenizer.convert_ids_to_tokens(ids[word[0]]))


def _without_special(side: _Side) -> _Side:
    kept = [index for index, special in enumerate(side.special) if not special]
    return _Side(side.ids, [side.words[i] for i in kept], [side.labels[i] for i in kept], [False] * len(kept), side.cut)


def _weighted_tokens(model: SentenceTransformer, ids: list[int]) -> NDArray[np.float64]:
    """Return token vectors times their weights in the pooling, (tokens, width); their sum points where the sentence vector does."""
    from workbench.models import check_vectors

    features = model.encoder(model.encoder.collate([ids], model.device))
    check_vectors(features["token_embeddings"], model)
    vectors = features["layout"].to_padded(features["token_embeddings"])[0].double().cpu().numpy()
    if model.truncate_dim is not None:
        vectors = vectors[:, : model.truncate_dim]
    from workbench.models import Pooling

    pooling = model[1]
    if isinstance(pooling, Pooling) and pooling.pooling_mode[0] == "weightedmean":
        vectors = vectors * np.arange(1, len(vectors) + 1)[:, None]
    return np.asarray(vectors, dtype=np.float64)


def _occlude(model: SentenceTransformer, sides: Sequence[_Side], prompt_length: int) -> tuple[float, list[list[float]]]:
    rows = []
    for side in sides:
        rows.append(side.ids)
        rows += [[token for index, token in enumerate(side.ids) if index not in set(word)] for word in side.words]
    vectors = _embed(model, rows, prompt_length)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    count = 1 + len(sides[0].words)
    first, second = vectors[:count], vectors[count:]
    cosine = float(first[0] @ second[0])
    return cosine, [[cosine - float(row @ second[0]) for row in first[1:]], [cosine - float(first[0] @ row) for row in second[1:]]]


def _embed(model: SentenceTransformer, rows: list[list[int]], prompt_length: int, batch_size: int = 32) -> NDArray[np.float64]:
    """Return the sentence vectors of rows of tokens; a row without any gets a zero vector."""
    from workbench.models import check_vectors

    order = sorted((index for index, row in enumerate(rows) if row), key=lambda index: len(rows[index]))
    vectors = np.zeros((len(rows), model.get_sentence_embedding_dimension()))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        features = model.encoder.collate([rows[index] for index in chosen], model.device)
        features["prompt_length"] = prompt_length
        output = model.forward(features)["sentence_embedding"].double()[:, : vectors.shape[1]]
        check_vectors(output, model)
        vectors[chosen] = output.cpu().numpy()
    return vectors
