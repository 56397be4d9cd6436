"""The strip at the top: the four things a run needs, and how far each is. Pressing one opens its tab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

import gradio as gr

from workbench.ui.components._script import read_script


class FlowStep(TypedDict):
    """One step of the strip."""

    tab: str
    title: str
    text: str
    state: Literal["ready", "missing", "busy", "problem"]


def create_flow(steps: Sequence[FlowStep], *, elem_id: str) -> gr.HTML:
    """Return the component; it has an event `open` whose data names the tab."""
    return gr.HTML(
        value=flow_value(steps),
        html_template='<ol class="wb-flow"></ol>',
        js_on_load=read_script("flow"),
        elem_id=elem_id,
        apply_default_css=False,
    )


def flow_value(steps: Sequence[FlowStep]) -> dict[str, Any]:
    """Return what the component shows."""
    return {"steps": list(steps)}
