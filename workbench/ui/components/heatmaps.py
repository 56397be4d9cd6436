"""Two cosine matrices side by side; a click on a cell shows the pair and both scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import gradio as gr

from workbench.ui.components._script import PLOTLY_HEAD, read_script


class Panel(TypedDict):
    """One matrix."""

    title: str
    matrix: list[list[float]]


def create_heatmaps(*, elem_id: str) -> gr.HTML:
    """Return the component, empty. Event `pair` asks to read a pair closely: the texts `first` and `second` of its data."""
    return gr.HTML(
        value=heatmaps_value([], []),
        html_template='<section class="wb-heatmaps" aria-label="Cosine similarities" data-state="empty"></section>',
        js_on_load=read_script("heatmaps"),
        head=PLOTLY_HEAD,
        elem_id=elem_id,
        apply_default_css=False,
    )


def heatmaps_value(texts: Sequence[str], panels: Sequence[Panel]) -> dict[str, Any]:
    """Return what the component shows.

    Args:
        texts: The sentences, in the order of rows and columns.
        panels: One matrix a model.
    """
    return {"texts": list(texts), "panels": list(panels)}
