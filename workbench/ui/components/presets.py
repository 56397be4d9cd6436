"""Stacks to start from, each with a line on what it teaches, and the layers a base encoder brings along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.ui.components._script import read_script, read_style


@dataclass(frozen=True)
class Preset:
    """A stack to start from.

    Attributes:
        title: What its button says.
        layers: As `--layers` takes them.
        help: What it does and when people take it; what it makes of a width depends on the base, see `presets_value`.
    """

    title: str
    layers: str
    help: str


def create_presets(presets: Sequence[Preset], stack: str, *, elem_id: str) -> gr.HTML:
    """Return the component. What is pressed becomes an event of the layer stack: `preset`, or `own` for the base's own layers.

    Args:
        presets: In the order of their numbers.
        stack: Id of the layer stack's element.
        elem_id: Id of the element; the button of preset n is `build-preset-n`, that of the base's own layers `build-own`.
    """
    return gr.HTML(
        value=presets_value("", ()),
        html_template='<div class="wb-preset-list"></div>',
        css_template=read_style("presets"),
        js_on_load=read_script("presets"),
        apply_default_css=False,
        elem_id=elem_id,
        stack=stack,
        presets=[{"title": preset.title, "help": preset.help} for preset in presets],
    )


def presets_value(own: str, widths: Sequence[str]) -> dict[str, Any]:
    """Return what the component shows.

    Args:
        own: The base's own layers, as `--layers` takes them; empty where it has none.
        widths: For each preset, what it makes of the width of the base, in a sentence; empty where that is not known.
    """
    return {"own": own, "widths": list(widths)}
