"""Two models side by side: how each places every pair of texts; a click on a cell shows the pair, both decisions and both cosines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import gradio as gr

from workbench.ui.components._script import PLOTLY_HEAD, read_script


class Panel(TypedDict):
    """One matrix.

    Attributes:
        title: The model.
        groups: How well it tells groups apart, in a few words; empty where there are none.
        words: The same in full, and what the colours mean.
        matrix: Cosines.
        shades: The colours, 0 to 1; with `matches` a match begins at 0.5.
        places: Place of each pair among all, the closest first.
        matches: Whether a pair counts as a match; None where the model has no threshold.
    """

    title: str
    groups: str
    words: str
    matrix: list[list[float]]
    shades: list[list[float]]
    places: list[list[int]]
    matches: list[list[bool]] | None


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


def heatmaps_value(texts: Sequence[str], panels: Sequence[Panel], labels: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the component shows.

    Args:
        texts: The sentences, in the order of rows and columns.
        panels: One matrix a model.
        labels: The group of each sentence, or none at all; pairs of one group are outlined.
    """
    return {"texts": list(texts), "labels": list(labels), "panels": list(panels)}
