"""The playground: what one does with a model. Models are loaded in a process of their own, never in the page's."""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "DryPass": "workbench.playground.dry_pass",
        "DryPassRequest": "workbench.playground.dry_pass",
        "EncoderProcess": "workbench.playground.process",
        "ExampleSet": "workbench.playground.examples",
        "HeldOut": "workbench.playground.quality",
        "Hit": "workbench.playground.search",
        "PRECISIONS": "workbench.playground.vectors",
        "Quality": "workbench.playground.quality",
        "Size": "workbench.playground.sizes",
        "Tell": "workbench.playground.process",
        "Threshold": "workbench.playground.threshold",
        "available_methods": "workbench.playground.projection",
        "best_hits": "workbench.playground.search",
        "cosine_matrix": "workbench.playground.matrix",
        "cosines": "workbench.playground.vectors",
        "find_held_out": "workbench.playground.quality",
        "find_threshold": "workbench.playground.threshold",
        "measure_quality": "workbench.playground.quality",
        "measure_sizes": "workbench.playground.sizes",
        "model_choices": "workbench.playground.choices",
        "open_examples": "workbench.playground.examples",
        "plan_dry_pass": "workbench.playground.dry_pass",
        "resolve_encoder": "workbench.playground.choices",
        "run_dry_pass": "workbench.playground.network_probe",
        "save_examples": "workbench.playground.examples",
        "similarity": "workbench.playground.matrix",
        "turn_onto": "workbench.playground.projection",
    },
)
