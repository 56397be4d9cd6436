"""The playground: what one does with a model. Models are loaded in a process of their own, never in the page's."""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "DryPass": "workbench.playground.dry_pass",
        "DryPassRequest": "workbench.playground.dry_pass",
        "EncoderProcess": "workbench.playground.process",
        "cosine_matrix": "workbench.playground.matrix",
        "model_choices": "workbench.playground.choices",
        "plan_dry_pass": "workbench.playground.dry_pass",
        "resolve_encoder": "workbench.playground.choices",
        "run_dry_pass": "workbench.playground.network_probe",
        "similarity": "workbench.playground.matrix",
    },
)
