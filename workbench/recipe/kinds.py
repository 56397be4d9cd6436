"""The kinds of data set: which roles their columns play, and what measures a model on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IGNORE = "ignore"
"""The role of a column that is kept out of the data set."""


@dataclass(frozen=True)
class DatasetKind:
    """One kind of data set.

    Attributes:
        name: As the command line and JSON print it.
        texts: Roles of the text columns, in the order in which losses take them.
        label: Role of the value column, or None.
        evaluator: Where the evaluator class is, `module:Class`.
        primary_metric: The metric by which a model is selected and judged; higher is better for all.
        meaning: One sentence for a domain expert.
    """

    name: str
    texts: tuple[str, ...]
    label: str | None
    evaluator: str
    primary_metric: str
    meaning: str

    @property
    def roles(self) -> tuple[str, ...]:
        """All roles, texts first."""
        return self.texts if self.label is None else (*self.texts, self.label)


KINDS: Mapping[str, DatasetKind] = {
    kind.name: kind
    for kind in (
        DatasetKind(
            "scored_pairs",
            ("sentence1", "sentence2"),
            "score",
            "workbench.evaluation.embedding_similarity:EmbeddingSimilarityEvaluator",
            "spearman_cosine",
            "Two texts and a number that says how similar they are.",
        ),
        DatasetKind(
            "labelled_pairs",
            ("sentence1", "sentence2"),
            "label",
            "workbench.evaluation.binary_classification:BinaryClassificationEvaluator",
            "cosine_ap",
            "Two texts and 1 (they match) or 0 (they do not).",
        ),
        DatasetKind(
            "class_pairs",
            ("sentence1", "sentence2"),
            "label",
            "workbench.evaluation.pair_classification:PairClassificationEvaluator",
            "probe_accuracy",
            "Two texts and one of several classes that names how they relate.",
        ),
        DatasetKind(
            "pairs",
            ("anchor", "positive"),
            None,
            "workbench.evaluation.information_retrieval:InformationRetrievalEvaluator",
            "cosine_ndcg@10",
            "Two texts that belong together, e.g. a question and its answer.",
        ),
        DatasetKind(
            "triplets",
            ("anchor", "positive", "negative"),
            None,
            "workbench.evaluation.triplet:TripletEvaluator",
            "cosine_accuracy",
            "A text, one that belongs to it, and one that does not.",
        ),
    )
}
