"""What changes on the Playground tab when it is opened, its view is changed, or its texts come from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import InputError, WorkbenchError
from workbench.runs import is_run_id
from workbench.ui.components.notice import notice
from workbench.ui.context import Context
from workbench.ui.feedback import sentence
from workbench.ui.pages import playground_views as views
from workbench.ui.playground_state import Kept, read_kept
from workbench.ui.text_source import NO_LABEL, SET_PREFIX, Collection, guess_columns, read_collection, read_columns, typed_text
from workbench.ui.uploads import upload_name, upload_path

if TYPE_CHECKING:
    from workbench.playground import ExampleSet

VIEWS: Mapping[str, str] = {"matrix": "All pairs", "pair": "One pair", "search": "Search", "map": "Map", "sizes": "Size"}

VIEW_PARTS = ("texts_row", *(f"{view}_{kind}" for view in VIEWS for kind in ("form", "shown")))
"""Components that another view shows or hides."""

SOURCE_PARTS = ("source", "texts", "source_note", "preview", "type", "columns", "column", "label")
"""Components that change with where the texts come from."""

SHOWN_TYPED = 300
"""Texts of a link that are put back into the text box; more stay a list with a name."""

PREVIEWED = 50
"""Texts of a file that are shown."""


def choices_view(
    context: Context,
    parts: dict[str, Any],
    first: str | None,
    second: str | None,
    chosen: str | None = "",
    prefer: str | None = None,
    wanted: str | None = None,
) -> dict[Any, Any]:
    """Return the updates of the two lists of models.

    Args:
        context: The server's context.
        parts: The page's components.
        first: What is chosen now.
        second: What is chosen now.
        chosen: "yes" where someone chose them; then also one model twice, or one that the list does not hold, stays.
        prefer: A run to compare with what it started from, whatever is chosen now.
        wanted: What the page begins with, see `read_kept`; its models are taken as long as nothing is chosen.
    """
    before = {"first": first, "second": second, "chosen": chosen}
    choices = views.model_list(context)
    known = [model for _, model in choices]
    if prefer is not None:
        first, second, chosen = prefer, f"base:{prefer}", "yes"
    elif wanted and not first and not second:
        kept = read_kept(wanted)
        if kept is not None and (kept.chosen or kept.asked):
            first, second, chosen = kept.first, kept.second, kept.chosen
        elif kept is None and (saved := _saved(context, wanted)) is not None:
            first, second, chosen = saved.first, saved.second, "yes"
            known += [model for model in (first, second) if model]  # a link is not changed silently where its run is gone
    if first == second and not chosen:
        # A model beside itself says nothing; that is how the lists stand until there is a run to compare.
        first = second = None

    def usable(model: str | None) -> bool:
        typed = bool(chosen and model) and not is_run_id((model or "").removeprefix("base:"))
        return typed or model in known

    if not usable(first):
        first = known[0] if known else None
    if not usable(second):
        base = f"base:{first}"
        second = base if base in known else next((model for model in known if model != first), first)
    listed = {model for _, model in choices}
    choices += [(model, model) for model in dict.fromkeys([first, second]) if model and model not in listed]
    now = {"first": first, "second": second, "chosen": chosen or ""}
    # What stays is not set again: by the time this arrives, someone may have chosen another one.
    changed: dict[str, dict[str, Any]] = {name: {"value": value} for name, value in now.items() if value != before[name]}
    return {
        parts["first"]: gr.Dropdown(choices=choices, **changed.get("first", {})),
        parts["second"]: gr.Dropdown(choices=choices, **changed.get("second", {})),
        parts["chosen"]: gr.Textbox(**changed.get("chosen", {})),
    }


def _saved(context: Context, name: str) -> ExampleSet | None:
    from workbench.playground import open_examples

    try:
        return open_examples(name, context.home)
    except InputError:
        return None


def open_wanted(context: Context, parts: dict[str, Any], wanted: str | None) -> dict[Any, Any]:
    """Return the updates that show what the page begins with: what was there before a reload, or the examples of a link."""
    from workbench.playground import available_methods, open_examples

    methods = available_methods()
    offered = [(label, method) for label, method in (("PCA", "pca"), ("UMAP", "umap")) if method in methods]
    layout: dict[str, Any] = {"choices": offered, "visible": len(offered) > 1}
    if not wanted:
        return {parts["method"]: gr.Radio(**layout)}
    kept = read_kept(wanted)
    if kept is not None:
        method = kept.method if kept.method in methods else "pca"
        return {parts["method"]: gr.Radio(**layout, value=method), **_kept_updates(context, parts, kept)}
    try:
        saved = open_examples(wanted, context.home)
    except InputError as error:
        return {parts["method"]: gr.Radio(**layout), parts["note"]: notice(sentence(error), "warning")}
    view = saved.view if saved.view in VIEWS else "matrix"
    updates: dict[Any, Any] = {
        parts["method"]: gr.Radio(**layout, value=saved.method if saved.method in methods else "pca"),
        parts["pair_first"]: saved.pair[0],
        parts["pair_second"]: saved.pair[1],
        parts["query"]: saved.query,
        parts["k"]: saved.k,
        parts["view"]: view,
        parts["go"]: view,
        **view_updates(parts, view),
    }
    if saved.name or len(saved.texts) > SHOWN_TYPED:
        return updates | source_updates(parts, f"{SET_PREFIX}{wanted}", Collection(saved.texts, saved.labels, saved.name))
    return updates | {parts["texts"]: typed_text(Collection(saved.texts, saved.labels)), parts["source"]: ""}


def _kept_updates(context: Context, parts: dict[str, Any], kept: Kept) -> dict[Any, Any]:
    view = kept.view if kept.view in VIEWS else "matrix"
    updates: dict[Any, Any] = {
        **{parts[name]: getattr(kept, name) for name in ("texts", "pair_first", "pair_second", "query", "k")},
        parts["view"]: view,
        parts["go"]: view if view in kept.asked else "",
        **view_updates(parts, view),
    }
    if not kept.source:
        return updates
    try:
        shown = shown_source(context, parts, kept.source, kept.column, kept.label)
    except WorkbenchError as error:
        return updates | {parts["go"]: "", parts["source_note"]: notice(sentence(error), "warning")}
    return updates | shown | {parts["texts"]: gr.Textbox(value=kept.texts, visible=False)}


def wanted_outputs(parts: dict[str, Any]) -> list[Any]:
    """Return what `open_wanted` may change."""
    names = ("method", "note", "view", "pair_first", "pair_second", "query", "k", "go", *VIEW_PARTS, *SOURCE_PARTS)
    return [parts[name] for name in names]


def view_updates(parts: dict[str, Any], view: str) -> dict[Any, Any]:
    """Return the updates that open a view."""
    shown = {parts[f"{name}_{kind}"]: gr.Column(visible=name == view) for name in VIEWS for kind in ("form", "shown")}
    return {parts["texts_row"]: gr.Row(visible=view != "pair"), **shown}


def source_updates(
    parts: dict[str, Any],
    source: str,
    collection: Collection,
    columns: list[str] | None = None,
    chosen: tuple[str, str] | None = None,
) -> dict[Any, Any]:
    """Return the updates that show where the texts come from."""
    labels = f", with {len(set(collection.labels)):,} labels" if collection.labels else ""
    words = f"{len(collection.texts):,} different texts from {collection.name or 'a link'}{labels}."
    column, label = chosen or ("", NO_LABEL)
    return {
        parts["source"]: source,
        parts["texts"]: gr.Textbox(visible=False),
        parts["source_note"]: notice(words, "good"),
        parts["preview"]: gr.Textbox(value="\n".join(collection.texts[:PREVIEWED]), visible=True),
        parts["type"]: gr.Button(visible=True),
        parts["columns"]: gr.Row(visible=bool(columns)),
        parts["column"]: gr.Dropdown(choices=columns or [], value=column),
        parts["label"]: gr.Dropdown(choices=[NO_LABEL, *(columns or [])], value=label),
    }


def shown_source(
    context: Context, parts: dict[str, Any], source: str, column: str | None = None, label: str | None = None
) -> dict[Any, Any]:
    """Return the updates that show the texts of a source.

    Args:
        context: The server's context.
        parts: The page's components.
        source: An uploaded file, or a link's example set.
        column: The file's column with the texts; None to guess both.
        label: The file's column with labels.

    Raises:
        WorkbenchError: If it is gone, or holds no texts.
    """
    if source.startswith(SET_PREFIX):
        return source_updates(parts, source, read_collection(context, "", source, None, None))
    columns = read_columns(upload_path(source, context.home))
    if not columns:
        raise InputError(f"`{upload_name(source, context.home)}` has no columns.", field="data")
    chosen = guess_columns(columns) if column is None else (column, label or NO_LABEL)
    collection = read_collection(context, "", source, *chosen)
    return source_updates(parts, source, collection, list(columns), chosen)


def typed_updates(parts: dict[str, Any]) -> dict[Any, Any]:
    """Return the updates that go back to typed texts."""
    return {
        parts["source"]: "",
        parts["texts"]: gr.Textbox(visible=True),
        parts["source_note"]: notice(""),
        parts["preview"]: gr.Textbox(visible=False),
        parts["type"]: gr.Button(visible=False),
        parts["columns"]: gr.Row(visible=False),
    }
