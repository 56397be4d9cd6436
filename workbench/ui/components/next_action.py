"""The line under the strip that always says what to do next, with a button that leads there."""

from __future__ import annotations

from typing import Any, TypedDict

import gradio as gr

from workbench.ui.components._script import read_script


class NextAction(TypedDict):
    """What to do next.

    Attributes:
        text: A sentence, or two.
        action: What the button says.
        tab: Where it leads.
        target: Id of the element that then gets the focus.
        run: The run it is about, which the live panel then shows; empty for none.
    """

    text: str
    action: str
    tab: str
    target: str
    run: str


def create_next_action(*, elem_id: str) -> gr.HTML:
    """Return the component, empty; it has an event `open` whose data names the `tab` and the `run`."""
    return gr.HTML(
        value={},
        html_template='<div class="wb-next"><p role="status"></p><button type="button" class="wb-button" hidden></button></div>',
        js_on_load=read_script("next_action"),
        elem_id=elem_id,
        apply_default_css=False,
    )


def next_value(action: NextAction) -> dict[str, Any]:
    """Return what the component shows."""
    return dict(action)
