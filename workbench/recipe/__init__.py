"""What a run is, as data: layers, architecture, losses, training settings and the recipe that holds them.

Standard library only; nothing here reads a file or knows of torch.
"""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "ArchitectureSpec": "workbench.recipe.architecture",
        "EncoderInfo": "workbench.recipe.architecture",
        "KINDS": "workbench.recipe.kinds",
        "LAYERS": "workbench.recipe.layers",
        "LOSSES": "workbench.recipe.losses",
        "LayerEntry": "workbench.recipe.layers",
        "LayerSpec": "workbench.recipe.architecture",
        "LayerState": "workbench.recipe.architecture",
        "LossEntry": "workbench.recipe.losses",
        "LossSpec": "workbench.recipe.losses",
        "Parameter": "workbench.recipe.parameters",
        "Recipe": "workbench.recipe.recipe",
        "SUGGESTED": "workbench.recipe.suggestion",
        "Suggestion": "workbench.recipe.suggestion",
        "TRAINING_PARAMETERS": "workbench.recipe.training",
        "TrainingConfig": "workbench.recipe.training",
        "WATCH_LIMIT": "workbench.recipe.watch",
        "default_loss": "workbench.recipe.losses",
        "losses_for": "workbench.recipe.losses",
        "parse_layers": "workbench.recipe.architecture",
        "parse_loss": "workbench.recipe.losses",
        "parse_watch": "workbench.recipe.watch",
        "render_program": "workbench.recipe.program",
        "suggest_training": "workbench.recipe.suggestion",
    },
)
