"""How well an anchor finds its own positive among those of all rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.evaluation import Details, Encode, Evaluation, Evaluator, Vectors, unit_vectors

CUTOFFS = (1, 3, 5, 10)
DEPTH = 100
_CHUNK = 512
_MOST_COSINES = 2**24
"""Cosines in memory at a time, whatever the number of documents."""


class InformationRetrievalEvaluator(Evaluator):
    """Search of every distinct anchor over all distinct positives; a row's positive is relevant to its anchor.

    nDCG@10, MRR@10 and MAP@100 with binary relevance, and accuracy, precision and recall at 1, 3, 5 and 10.
    """

    def __call__(self, encode: Encode) -> Evaluation:
        """Measure one model; needs anchors and positives."""
        anchors, positives = self.columns[:2]
        corpus = {text: index for index, text in enumerate(dict.fromkeys(positives))}
        relevant: dict[str, set[int]] = {}
        first_row: dict[str, int] = {}
        for row, (anchor, positive) in enumerate(zip(anchors, positives, strict=True)):
            relevant.setdefault(anchor, set()).add(corpus[positive])
            first_row.setdefault(anchor, row)
        queries = list(relevant)
        texts = list(dict.fromkeys([*queries, *corpus]))
        position = {text: index for index, text in enumerate(texts)}
        vectors = unit_vectors(encode(texts))
        asked, documents = vectors[[position[text] for text in queries]], vectors[[position[text] for text in corpus]]
        ranked = _search(asked, documents)
        hits = np.zeros(ranked.shape, dtype=bool)
        for row, query in enumerate(queries):
            hits[row] = np.isin(ranked[row], list(relevant[query]))
        totals = np.array([len(relevant[query]) for query in queries])
        per_query = _per_query_metrics(hits, totals)
        metrics = {name: float(values.mean()) for name, values in per_query.items()}
        ndcg = per_query["cosine_ndcg@10"]
        units = np.array([first_row[query] for query in queries], dtype=np.int64)
        query_of = {text: index for index, text in enumerate(queries)}
        own = np.array([(query_of[anchor], corpus[positive]) for anchor, positive in zip(anchors, positives, strict=True)])
        return Evaluation(
            metrics,
            "cosine_ndcg@10",
            self.rows,
            units,
            lambda chosen: float(ndcg[chosen].mean()),
            lambda: _details(asked, documents, own, [np.array(sorted(relevant[query])) for query in queries]),
        )


def _details(asked: Vectors, documents: Vectors, own: NDArray[np.int64], relevant: list[NDArray[np.int64]]) -> Details:
    """Return rank and cosine of each row's positive.

    The rank counts what is not relevant to the anchor and scores higher, so several right answers do not push each other down.
    For the distribution of cosines, each anchor is also paired with the positive of the next row that is not one of its own.

    Args:
        asked: Unit vectors of the distinct anchors, (queries, width).
        documents: Unit vectors of the distinct positives, (documents, width).
        own: Query and document of each row, (rows, 2).
        relevant: The documents of each query.
    """
    cosine, rank = np.empty(len(own)), np.empty(len(own), dtype=np.int64)
    for rows in _slices(len(own), len(documents)):
        scores = asked[own[rows, 0]] @ documents.T
        cosine[rows] = scores[np.arange(len(scores)), own[rows, 1]]
        for place, query in enumerate(own[rows, 0].tolist()):
            scores[place, relevant[query]] = -np.inf
        rank[rows] = 1 + (scores > cosine[rows, None]).sum(axis=1)
    following = np.roll(own[:, 1], -1)
    mismatched = np.array([document not in relevant[query] for query, document in zip(own[:, 0], following, strict=True)])
    others = np.asarray((asked[own[mismatched, 0]] * documents[following[mismatched]]).sum(axis=1), dtype=np.float64)
    return Details(
        {"rank": rank, "cosine": cosine},
        1 - 1 / rank,
        np.concatenate([cosine, others]),
        np.repeat([1, 0], [len(cosine), len(others)]),
    )


def _search(queries: NDArray[np.floating], corpus: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the corpus indices of each query's best documents, best first, (queries, up to DEPTH)."""
    depth = min(DEPTH, len(corpus))
    found = []
    for rows in _slices(len(queries), len(corpus)):
        scores = queries[rows] @ corpus.T
        best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(found)


def _slices(queries: int, documents: int) -> Iterator[slice]:
    size = max(1, min(_CHUNK, _MOST_COSINES // documents))
    for start in range(0, queries, size):
        yield slice(start, start + size)


def _per_query_metrics(hits: NDArray[np.bool_], totals: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return each metric's value for every query.

    Args:
        hits: (queries, depth), whether the document at each rank is relevant.
        totals: (queries,), how many relevant documents there are.
    """
    metrics: dict[str, NDArray[np.float64]] = {}
    for k in CUTOFFS:
        found = hits[:, :k].sum(axis=1)
        metrics[f"cosine_accuracy@{k}"] = (found > 0).astype(np.float64)
        metrics[f"cosine_precision@{k}"] = found / k
        metrics[f"cosine_recall@{k}"] = found / totals
    ranks = np.arange(hits.shape[1])
    discount = 1 / np.log2(ranks + 2)
    ideal = np.cumsum(1 / np.log2(np.arange(10) + 2))
    metrics["cosine_ndcg@10"] = (hits[:, :10] * discount[:10]).sum(axis=1) / ideal[np.minimum(totals, 10) - 1]
    first = np.where(hits[:, :10].any(axis=1), hits[:, :10].argmax(axis=1), -1)
    metrics["cosine_mrr@10"] = np.where(first >= 0, 1 / (first + 1.0 + (first < 0)), 0.0)
    precision_at_rank = np.cumsum(hits, axis=1) / (ranks + 1)
    metrics["cosine_map@100"] = (precision_at_rank * hits).sum(axis=1) / np.minimum(totals, DEPTH)
    return metrics
