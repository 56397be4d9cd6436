"""The siamese drawing of the objective: one network used two or three times, the vectors u, v (and w), and the loss on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from workbench.recipe import KINDS, LayerSpec, LayerState, LossSpec
from workbench.ui.components._script import read_script, read_style

VECTORS = ("u", "v", "w")
"""As the field calls the sentence vectors of a row; further ones are numbered."""

NUMBERS = {1: "One tower", 2: "Two towers", 3: "Three towers"}


def create_towers(*, elem_id: str) -> gr.HTML:
    """Return the component, empty.

    Args:
        elem_id: Id of the element.
    """
    return gr.HTML(
        value=None,
        html_template='<figure class="wb-towers" data-state="empty"></figure>',
        css_template=read_style("towers"),
        js_on_load=read_script("towers"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def describe_towers(
    layers: Sequence[LayerSpec], states: Sequence[LayerState], kind: str, loss: LossSpec, base: str, caption: str
) -> dict[str, Any]:
    """Return the drawing as data.

    Args:
        layers: The stack, encoder first.
        states: The stack after width propagation, one a layer.
        kind: Kind of data set.
        loss: The objective.
        base: Name of the encoder.
        caption: What the drawing is of, in one sentence.
    """
    table = KINDS[kind]
    names = [*VECTORS, *(f"x{number}" for number in range(len(VECTORS) + 1, len(table.texts) + 1))]
    towers = [{"name": name, "role": role} for name, role in zip(names, table.texts, strict=False)]
    boxes = [
        {"title": layer.entry.title, "detail": base if not index else layer_values(layer), "out": width_words(state)}
        for index, (layer, state) in enumerate(zip(layers, states, strict=True))
    ]
    entry = loss.entry
    value: dict[str, Any] = {
        "towers": towers,
        "layers": boxes,
        "joins": list(entry.joins),
        "candidates": [tower["name"] for tower in towers[1:]] if entry.in_batch_negatives else [],
        "loss": {"name": loss.name, "formula": entry.formula or entry.help, "target": table.label},
        "broken": any(state.width is None for state in states) or states[-1].port != "sentence",
        "caption": caption,
    }
    return {**value, "text": towers_text(value)}


def layer_values(layer: LayerSpec) -> str:
    """Return a layer's values in short: those that make it what it is, and those that are not usual."""
    words = []
    for parameter in layer.entry.parameters:
        value = layer.params[parameter.name]
        text = "+".join(value) if isinstance(value, tuple) else str(value)
        if parameter.name in layer.entry.positional:
            words.append(text)
        elif value != parameter.default:
            words.append(f"{parameter.name}={text.lower()}")
    return ", ".join(words)


def width_words(state: LayerState) -> str:
    """Return the width a layer returns, `?` below an error."""
    if state.width is None:
        return "?"
    return f"tokens × {state.width:,}" if state.port == "tokens" else f"{state.width:,}"


def towers_text(value: dict[str, Any]) -> str:
    """Return the drawing as text, for those who do not see it."""
    towers, loss = value["towers"], value["loss"]
    roles, vectors = (_list([tower[key] for tower in towers]) for key in ("role", "name"))
    path = ", ".join(
        f"{box['title']}{' (' + box['detail'] + ')' if box['detail'] else ''} giving {box['out']}" for box in value["layers"]
    )
    shared = " with shared weights" if len(towers) > 1 else ""
    if value["broken"]:
        return f"{NUMBERS.get(len(towers), f'{len(towers)} towers')}{shared}. The stack cannot be built yet: {path}."
    joined = f" On top: {'; then '.join(value['joins'])}." if value["joins"] else ""
    target = f", compared with the {loss['target']}" if loss["target"] else ""
    return (
        f"{NUMBERS.get(len(towers), f'{len(towers)} towers')}{shared}: {roles} go through {path}, and become {vectors}."
        f"{joined} The loss is {loss['name']}{target}. {loss['formula']}"
    )


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
