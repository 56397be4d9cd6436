"""One line of words on the page: what is ready, what is missing, what is wrong.

The text is set through `textContent`, so that a column name or a file name is never read as markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import gradio as gr

from workbench.ui.components._script import read_script

Tone = Literal["plain", "note", "good", "warning", "error"]


def create_notice(text: str = "", tone: Tone = "plain", *, elem_id: str) -> gr.HTML:
    """Return the component; an empty text takes no room.

    Args:
        text: What it says at first.
        tone: How it looks.
        elem_id: Id of the element.
    """
    return gr.HTML(
        value={"text": text, "tone": tone},
        html_template='<p class="wb-notice" role="status"></p>',
        js_on_load=read_script("notice"),
        elem_id=elem_id,
        apply_default_css=False,
        elem_classes=["wb-notice-box"],
    )


def notice(text: str, tone: Tone = "plain", basis: Mapping[str, Any] | None = None) -> gr.HTML:
    """Return the update that makes a notice say something else.

    Args:
        text: What it says; empty for nothing.
        tone: How it looks.
        basis: What it was said of. The browser keeps it with the words, and hands it back where the notice is an event's input.
    """
    return gr.HTML(value={"text": text, "tone": tone} | ({} if basis is None else {"basis": basis}))
