"""Fine-tune sentence-embedding models from a spreadsheet of pairs: on a page, on the command line, from Python."""

from workbench._lazy import lazy_names

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "SentenceTransformer": "workbench.models.sentence_transformer",
        "models": "workbench.models",
        "losses": "workbench.losses",
        "evaluation": "workbench.evaluation",
        "Recipe": "workbench.recipe",
        "RunResult": "workbench.runs",
        "load_pairs": "workbench.data",
        "train": "workbench.runs",
    },
)
