"""Training objectives over sentence vectors. A loss never owns the encoder; it may own parameters of its own."""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "CoSENTLoss": "workbench.losses.cosent",
        "ContrastiveLoss": "workbench.losses.contrastive",
        "CosineSimilarityLoss": "workbench.losses.cosine_similarity",
        "Loss": "workbench.losses.loss",
        "MultipleNegativesRankingLoss": "workbench.losses.multiple_negatives_ranking",
        "SoftmaxLoss": "workbench.losses.softmax",
        "TripletLoss": "workbench.losses.triplet",
        "build_loss": "workbench.losses.loss",
    },
)
