"""What the playground shows beside the heatmaps: a pair read word by word, search results, a map, and sizes.

Each is a `gr.HTML` with a script of its own; they share a style sheet. User text reaches the page through `textContent` only.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.ui.components._script import PLOTLY_HEAD, read_script, read_style


def create_pair_reading(*, elem_id: str) -> gr.HTML:
    """Return the panel of a pair: for each model the cosine, the threshold, and what each word contributes.

    Its value is `{panels: [{title, cosine, threshold, verdict, source, method, exact, sides}]}`.
    """
    return _panel("pair_reading", "wb-reading", "Scores of the pair", elem_id)


def create_search_results(*, elem_id: str) -> gr.HTML:
    """Return the panel of search results. Event `more` asks for texts like the one in its data's `text`.

    Its value is `{query, note, panels: [{title, time, hits: [{rank, score, text, badge, change}]}]}`.
    """
    return _panel("search_results", "wb-results", "Search results", elem_id)


def create_text_map(*, elem_id: str) -> gr.HTML:
    """Return the panel of maps. Event `more` asks for texts like the one in its data's `text`.

    Its value is `{texts, labels, note, panels: [{title, caption, x, y}]}`.
    """
    return _panel("text_map", "wb-map", "Maps of the texts", elem_id, head=PLOTLY_HEAD)


def create_sizes(*, elem_id: str) -> gr.HTML:
    """Return the panel of vector sizes: a slider for the width, a choice of precision, and the whole table.

    Its value is `{note, precisions, panels: [{title, measure, source, sizes}]}`. Where `measure` is `quality` a panel also has `metric`,
    `words` and `base`, and its sizes are `{width, precision, bytes, value}`; where it is `agreement` they are
    `{width, precision, bytes, spearman, neighbours}`.
    """
    return _panel("sizes", "wb-sizes", "Quality and size of shorter vectors", elem_id)


def _panel(script: str, name: str, label: str, elem_id: str, head: str | None = None) -> gr.HTML:
    options: dict[str, Any] = {} if head is None else {"head": head}
    return gr.HTML(
        value=None,
        html_template=f'<section class="{name} wb-look" aria-label="{label}" data-state="empty"></section>',
        css_template=read_style("playground"),
        js_on_load=read_script(script),
        apply_default_css=False,
        elem_id=elem_id,
        **options,
    )
