"""The Playground tab: the same sentences through two models, side by side."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.errors import InputError
from workbench.ui.components.heatmaps import Panel, create_heatmaps, heatmaps_value
from workbench.ui.components.notice import create_notice, notice
from workbench.ui.context import Context
from workbench.ui.feedback import sentence
from workbench.ui.present import pair_rows

EXAMPLES = (
    "I want to cancel my contract",
    "please terminate everything at the end of the month",
    "How do I reset the router?",
    "the internet box needs a restart, which button is it?",
    "My last invoice is too high",
    "why was I charged twice this month",
    "I want to keep my contract",
    "When does the engineer come?",
)
"""Two ways to say the same thing, and one pair that shares words but not the meaning."""

MOST_SENTENCES = 60
MOST_PAIRS = 400
HEADERS = ("Sentence", "Other sentence", "First model", "Second model", "Difference")


def create_playground_page(context: Context) -> dict[str, Any]:
    """Build the tab.

    Args:
        context: The server's context.

    Returns:
        Components by name.
    """
    parts: dict[str, Any] = {}
    with gr.Row():
        parts["first"] = gr.Dropdown(
            label="First model", choices=[], allow_custom_value=True, min_width=280, elem_id="playground-first"
        )
        parts["second"] = gr.Dropdown(
            label="Second model", choices=[], allow_custom_value=True, min_width=280, elem_id="playground-second"
        )
    parts["texts"] = gr.Textbox(
        label="Sentences, one a line", value="\n".join(EXAMPLES), lines=8, max_lines=16, elem_id="playground-texts"
    )
    parts["compare"] = gr.Button("Compare", variant="primary", elem_id="playground-compare")
    parts["note"] = create_notice(elem_id="playground-note")
    parts["heatmaps"] = create_heatmaps(elem_id="playground-heatmaps")
    parts["pairs"] = gr.Dataframe(
        headers=list(HEADERS),
        datatype=["str", "str", "number", "number", "number"],
        label="Pairs, the largest difference first",
        interactive=False,
        wrap=True,
        visible=False,
        max_height=420,
        buttons=[],
        column_widths=["33%", "33%", "12%", "12%", "10%"],
        elem_id="playground-pairs",
    )
    _wire(context, parts)
    return parts


def read_sentences(text: str | None) -> list[str]:
    """Return the different, non-empty lines of a text.

    Raises:
        InputError: If there are fewer than two or more than can be shown.
    """
    found = list(dict.fromkeys(line.strip() for line in (text or "").splitlines() if line.strip()))
    if len(found) < 2:
        raise InputError(
            f"Type at least two different sentences, one a line; there {'is' if len(found) == 1 else 'are'} {len(found)}."
        )
    if len(found) > MOST_SENTENCES:
        raise InputError(f"At most {MOST_SENTENCES} sentences fit on the page, got {len(found)}; remove some.")
    return found


def choices_view(
    context: Context, parts: dict[str, Any], first: str | None, second: str | None, prefer: str | None = None
) -> dict[Any, Any]:
    """Return the updates of the two lists of models.

    Args:
        context: The server's context.
        parts: The page's components.
        first: What is chosen now.
        second: What is chosen now.
        prefer: A run to compare with what it started from, whatever is chosen now.
    """
    choices = model_list(context)
    known = [model for _, model in choices]
    chosen = f"base:{prefer}" if prefer else None
    if prefer is not None:
        first, second = prefer, chosen
    if not first or first not in known:
        first = known[0] if known else None
    if not second or second not in known:
        second = f"base:{first}" if f"base:{first}" in known else (known[1] if len(known) > 1 else None)
    return {parts["first"]: gr.Dropdown(choices=choices, value=first), parts["second"]: gr.Dropdown(choices=choices, value=second)}


def model_list(context: Context) -> list[tuple[str, str]]:
    """Return the models to choose from: finished runs, what they started from, then base encoders that need no download."""
    from workbench.playground import model_choices

    return [(str(label), str(model)) for label, model in model_choices(context.home)]


def compare(context: Context, first: str, second: str, texts: list[str]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return what the heatmaps show, and the rows of the table of pairs.

    Raises:
        WorkbenchError: If a model cannot be loaded.
    """
    from workbench.playground import similarity

    names = {model: label for label, model in model_list(context)}
    models = list(dict.fromkeys([first, second]))
    matrices = similarity(context.encoder, models, texts)
    panels: list[Panel] = [
        {"title": names.get(model, model), "matrix": [[round(float(value), 4) for value in row] for row in matrices[model]]}
        for model in models
    ]
    rows = pair_rows(texts, matrices[first], matrices[second])[:MOST_PAIRS]
    return heatmaps_value(texts, panels), rows


def _wire(context: Context, parts: dict[str, Any]) -> None:
    def on_compare(first: str | None, second: str | None, text: str) -> dict[Any, Any]:
        try:
            if not first or not second:
                raise InputError("Choose two models first.")
            texts = read_sentences(text)
            value, rows = compare(context, first, second, texts)
        except Exception as error:
            return {parts["note"]: notice(sentence(error), "warning" if isinstance(error, InputError) else "error")}
        return {parts["note"]: notice(""), parts["heatmaps"]: value, parts["pairs"]: gr.Dataframe(value=rows, visible=True)}

    parts["compare"].click(
        on_compare,
        [parts["first"], parts["second"], parts["texts"]],
        [parts["note"], parts["heatmaps"], parts["pairs"]],
        api_visibility="private",
        concurrency_id="encoder",
    )
