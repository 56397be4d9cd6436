"""The playground: what one does with a model. Models are loaded in a process of their own, never in the page's."""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "EncoderProcess": "workbench.playground.process",
        "cosine_matrix": "workbench.playground.matrix",
        "model_choices": "workbench.playground.choices",
        "resolve_encoder": "workbench.playground.choices",
        "similarity": "workbench.playground.matrix",
    },
)
