"""The training form: settings of `TrainingConfig` and parameters of losses <-> widgets.

Widgets follow from the parameter tables; this file only says which are on the front and what they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from workbench.errors import ConfigError
from workbench.recipe import LOSSES, TRAINING_PARAMETERS, LossSpec, Parameter, TrainingConfig

LABELS: Mapping[str, str] = {
    "epochs": "Epochs",
    "batch_size": "Batch size",
    "learning_rate": "Learning rate",
    "warmup_ratio": "Warm-up share",
    "max_steps": "Step limit",
    "eval_steps": "Steps between evaluations",
    "weight_decay": "Weight decay",
    "max_grad_norm": "Gradient norm limit",
    "micro_batch_size": "Micro-batch size",
    "precision": "Precision",
    "cuda_graphs": "CUDA graphs",
    "cross_validation": "Cross-validation of small sets",
    "seed": "Seed",
    "validation_fraction": "Validation share",
    "test_fraction": "Test share",
    "device": "Device",
    "devices": "Devices",
    "scale": "Scale",
    "margin": "Margin",
    "triplet_margin": "Triplet margin",
    "positive_margin": "Margin of the right partner",
    "negative_margin": "Margin of the wrong partners",
}
"""What a form calls a field; a field without an entry shows its own name."""

DEVICE = Parameter(
    "device",
    "choice",
    "auto",
    "Where the run computes; auto takes a GPU when there is one. Type cuda:1 for the second GPU.",
    choices=("auto", "cpu", "cuda", "mps"),
)
"""`TrainingConfig` checks it by pattern, so it is not in the table."""

FRONT = ("epochs", "batch_size", "learning_rate")
"""Shown at once; the others are in an accordion."""

SHOWN: Mapping[str, Parameter] = {parameter.name: parameter for parameter in (*TRAINING_PARAMETERS, DEVICE)}

LOSS_PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter for entry in LOSSES.values() for parameter in entry.parameters
}
"""Every parameter that some loss has; the form shows those of the loss that is chosen."""

SUGGESTED_RATES = ("auto", "1e-5", "2e-5", "3e-5", "5e-5", "1e-4", "5e-4")


def create_field(parameter: Parameter, value: Any, prefix: str, visible: bool = True) -> gr.components.Component:
    """Return the widget of one parameter.

    Args:
        parameter: Its type, range and help.
        value: What it shows at first.
        prefix: Beginning of its element id, "train" or "loss".
        visible: Whether it is shown.
    """
    label = LABELS.get(parameter.name, parameter.name)
    info = parameter.help + (f" Usual: {parameter.habitual}." if parameter.habitual else "")
    options: dict[str, Any] = {
        "label": label,
        "info": info,
        "elem_id": f"{prefix}-{parameter.name}".replace("_", "-"),
        "visible": visible,
        "min_width": 150,
        "value": to_widget(parameter, value),
    }
    if parameter.type == "bool":
        return gr.Checkbox(**options)
    if parameter.auto or parameter.type == "choice":
        choices = list(SUGGESTED_RATES) if parameter.auto else list(parameter.choices)
        return gr.Dropdown(choices=choices, allow_custom_value=parameter.auto or parameter is DEVICE, **options)
    step: Any = 1 if parameter.type == "int" else None  # None lets a browser take any number
    return gr.Number(step=step, **options)


def to_widget(parameter: Parameter, value: Any) -> Any:
    """Return what the widget of a parameter shows for a value."""
    if parameter.auto and not isinstance(value, str):
        return f"{value:g}"
    return value


def from_widget(parameter: Parameter, value: Any) -> Any:
    """Return the checked value of what is in a widget.

    Raises:
        ConfigError: Naming the field by its label.
    """
    if value is None and not parameter.optional:
        raise ConfigError(f"`{parameter.name}` is empty; the usual value is {parameter.default}.", field=parameter.name)
    if parameter.auto or parameter is DEVICE:
        value = str(value)
        return value.strip() if parameter is DEVICE else parameter.parse(value)
    return parameter.check(value)


def read_training(values: Mapping[str, Any]) -> TrainingConfig:
    """Return the settings that are in the form.

    Args:
        values: Field name -> widget value; missing fields take their default.

    Raises:
        ConfigError: With the field it belongs to.
    """
    checked = {name: from_widget(SHOWN[name], value) for name, value in values.items() if name in SHOWN}
    return TrainingConfig(**checked)


def read_loss(name: str | None, values: Mapping[str, Any]) -> LossSpec | None:
    """Return the objective that is in the form; None where none is chosen.

    Args:
        name: Class name of the loss.
        values: Parameter name -> widget value; those of other losses are left out.

    Raises:
        ConfigError: If the name is unknown or a value is out of range.
    """
    if not name:
        return None
    if name not in LOSSES:
        raise ConfigError(f"There is no loss {name!r}; there are: {', '.join(LOSSES)}.", field="loss")
    own = {parameter.name for parameter in LOSSES[name].parameters}
    return LossSpec(name, {key: value for key, value in values.items() if key in own and value is not None})


def find_problem(name: str, value: Any) -> str | None:
    """Return why a widget's value of a training field cannot be used, or None."""
    try:
        if name == "device":
            TrainingConfig(device=from_widget(DEVICE, value))
        else:
            from_widget(SHOWN[name], value)
    except ConfigError as error:
        return error.message
    return None
