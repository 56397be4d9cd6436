"""Training: each distinct sentence embedded once a batch, any loss on top, transformers' Trainer underneath."""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Batch": "workbench.training.batch",
        "Listener": "workbench.training.listener",
        "TrainingResult": "workbench.training.run",
        "embed": "workbench.training.embedding",
        "run_training": "workbench.training.run",
    },
)
