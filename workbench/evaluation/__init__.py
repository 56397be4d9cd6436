"""Held-out metrics, one evaluator for each kind of data set, and the verdict: is the tuned model better than its base?"""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BinaryClassificationEvaluator": "workbench.evaluation.binary_classification",
        "Calibration": "workbench.evaluation.calibration",
        "Details": "workbench.evaluation.evaluation",
        "ENCODE_BATCH": "workbench.evaluation.evaluation",
        "ERROR_WORDS": "workbench.evaluation.evaluation",
        "EmbeddingSimilarityEvaluator": "workbench.evaluation.embedding_similarity",
        "Encode": "workbench.evaluation.evaluation",
        "Evaluation": "workbench.evaluation.evaluation",
        "Evaluator": "workbench.evaluation.evaluation",
        "GeneralCheck": "workbench.evaluation.general",
        "METRIC_WORDS": "workbench.evaluation.verdict",
        "InformationRetrievalEvaluator": "workbench.evaluation.information_retrieval",
        "PairClassificationEvaluator": "workbench.evaluation.pair_classification",
        "Threshold": "workbench.evaluation.calibration",
        "TripletEvaluator": "workbench.evaluation.triplet",
        "Separation": "workbench.evaluation.separation",
        "Verdict": "workbench.evaluation.verdict",
        "build_evaluator": "workbench.evaluation.evaluation",
        "calibrate": "workbench.evaluation.calibration",
        "check_general": "workbench.evaluation.general",
        "compute_verdict": "workbench.evaluation.verdict",
        "distribution": "workbench.evaluation.calibration",
        "general_evaluator": "workbench.evaluation.general",
        "read_calibration": "workbench.evaluation.calibration",
        "reliability": "workbench.evaluation.calibration",
        "measure_separation": "workbench.evaluation.separation",
    },
)
