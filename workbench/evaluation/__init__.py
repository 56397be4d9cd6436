"""Held-out metrics, one evaluator for each kind of data set, and the verdict: is the tuned model better than its base?"""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BinaryClassificationEvaluator": "workbench.evaluation.binary_classification",
        "EmbeddingSimilarityEvaluator": "workbench.evaluation.embedding_similarity",
        "Encode": "workbench.evaluation.evaluation",
        "Evaluation": "workbench.evaluation.evaluation",
        "Evaluator": "workbench.evaluation.evaluation",
        "InformationRetrievalEvaluator": "workbench.evaluation.information_retrieval",
        "PairClassificationEvaluator": "workbench.evaluation.pair_classification",
        "TripletEvaluator": "workbench.evaluation.triplet",
        "Separation": "workbench.evaluation.separation",
        "Verdict": "workbench.evaluation.verdict",
        "build_evaluator": "workbench.evaluation.evaluation",
        "compute_verdict": "workbench.evaluation.verdict",
        "measure_separation": "workbench.evaluation.separation",
    },
)
