"""The network: layers executed consecutively, the stack, its on-disk format, and the catalogue of base encoders.

`bases` and `folder` know folders and names without torch; everything else is imported only when a network is built.
"""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BaseEntry": "workbench.models.bases",
        "DEFAULT_BASE": "workbench.models.bases",
        "Dense": "workbench.models.dense",
        "Dropout": "workbench.models.dropout",
        "Layout": "workbench.models.layout",
        "LayerNorm": "workbench.models.layer_norm",
        "Normalize": "workbench.models.normalize",
        "Pooling": "workbench.models.pooling",
        "SentenceTransformer": "workbench.models.sentence_transformer",
        "Transformer": "workbench.models.transformer",
        "build_network": "workbench.models.network",
        "build_scratch": "workbench.models.scratch",
        "build_stack": "workbench.models.stack",
        "describe_base": "workbench.models.bases",
        "list_bases": "workbench.models.bases",
        "resolve_base": "workbench.models.bases",
        "search_hub": "workbench.models.bases",
    },
)
