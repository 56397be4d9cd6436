"""From an architecture to modules."""

from __future__ import annotations

import importlib

from workbench.models.layer import Layer
from workbench.recipe.architecture import LayerSpec


def build_layer(spec: LayerSpec, width: int) -> Layer:
    """Return the module of one layer after the encoder.

    Args:
        spec: Kind and parameters.
        width: Width of what it takes.
    """
    entry = spec.entry
    module, _, name = entry.cls.partition(":")
    cls = getattr(importlib.import_module(module), name)
    arguments = dict(spec.params)
    if entry.width_argument is not None:
        arguments[entry.width_argument] = width
    layer: Layer = cls(**arguments)
    return layer


def build_stack(encoder: Layer, encoder_width: int, layers: tuple[LayerSpec, ...]) -> list[Layer]:
    """Return all modules of a network.

    Args:
        encoder: The first module.
        encoder_width: Length of its token vectors.
        layers: The layers after it.
    """
    modules = [encoder]
    width = encoder_width
    for spec in layers:
        modules.append(build_layer(spec, width))
        width = spec.entry.width(spec.params, width)
    return modules
