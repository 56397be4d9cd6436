"""The Build tab: the base encoder, presets, and the stack of layers on top of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import gradio as gr

from workbench.errors import ModelError, WorkbenchError
from workbench.recipe import ArchitectureSpec, EncoderInfo, LayerSpec, parse_layers
from workbench.ui.components.layer_stack import (
    Document,
    acknowledge,
    create_layer_stack,
    fail,
    read_document,
    write_document,
)
from workbench.ui.components.notice import create_notice, notice
from workbench.ui.context import Context
from workbench.ui.draft import Draft, load_draft, update_draft
from workbench.ui.feedback import guarded, sentence

PRESETS: Mapping[str, str] = {
    "Sentence-BERT: mean pooling": "pooling:mean",
    "Sentence-BERT + Dense 256 tanh": "pooling:mean,dense:256:tanh",
    "CLS pooling": "pooling:cls",
    "Mean + max pooling": "pooling:mean+max",
    "Mean pooling + Normalize": "pooling:mean,normalize",
}
"""Stacks to start from, as `--layers` takes them."""

EDITS_AT_ONCE = 8
"""Edits of several windows that are checked at the same time; Gradio's default of one is shared by all of them."""


def create_build_page(context: Context) -> dict[str, Any]:
    """Build the tab.

    Args:
        context: The server's context.

    Returns:
        Components by name; `stack` is the layer stack, `picked` the event after which another base is in the draft.
    """
    parts: dict[str, Any] = {}
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            parts["base"] = gr.Dropdown(
                label="Base encoder",
                info="Choose one, or type a Hub name (owner/name), a folder or a run.",
                choices=[],
                allow_custom_value=True,
                elem_id="build-base",
            )
            parts["facts"] = create_notice(elem_id="build-facts")
            with gr.Accordion("Search the Hub", open=False, elem_id="build-hub"):
                parts["query"] = gr.Textbox(
                    label="Words of a model name", placeholder="e.g. multilingual minilm", max_lines=1, elem_id="build-hub-query"
                )
                parts["search"] = gr.Button("Search", elem_id="build-hub-search")
                parts["hub_note"] = create_notice(elem_id="build-hub-note")
                parts["found"] = gr.Radio(label="Found", choices=[], visible=False, elem_id="build-hub-found")
            with gr.Column(elem_classes=["wb-presets"]):
                gr.Markdown("## Start from a preset", elem_id="build-presets")
                for number, title in enumerate(PRESETS, 1):
                    parts[f"preset{number}"] = gr.Button(title, size="md", elem_id=f"build-preset-{number}")
        with gr.Column(scale=5, min_width=320):
            parts["stack"] = create_layer_stack(elem_id="build-stack")
            parts["layers"] = gr.Textbox(
                label="The same on the command line",
                info="What `train` takes to build exactly this network.",
                interactive=False,
                buttons=["copy"],
                max_lines=4,
                elem_id="build-layers",
                elem_classes=["wb-mono"],
            )
    _wire(context, parts)
    return parts


def connect_build_page(context: Context, parts: dict[str, Any], blocks: gr.Blocks, tab: gr.Tab) -> None:
    """Show the draft when the page opens, and again when another tab changed it.

    Args:
        context: The server's context.
        parts: What `create_build_page` returned.
        blocks: The page.
        tab: The tab the components are in.
    """
    handlers = _Handlers(context, parts)
    shown = [parts[name] for name in SHOWN]
    blocks.load(guarded(handlers.on_load), None, shown, **QUIET)
    tab.select(guarded(handlers.on_select), [parts["stack"]], shown, **QUIET)


SHOWN = ("base", "facts", "stack", "layers")
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def command_line(base: str, architecture: ArchitectureSpec) -> str:
    """Return the options of `train` that build a network.

    Args:
        base: Base encoder.
        architecture: The layers, encoder first.
    """
    words = ["--base", base, "--layers", architecture.to_text()]
    limit = architecture.layers[0].params.get("max_seq_length") if architecture.layers else None
    if limit is not None:
        words += ["--max-seq-length", str(limit)]
    return shlex.join(words)


def describe_facts(info: EncoderInfo) -> str:
    """Return what is known of an encoder, in one line."""
    weights = count_words(info.num_parameters) if info.num_parameters else "an unknown number of"
    longest = f"texts up to {info.max_seq_length:,} word pieces"
    if info.max_positions > info.max_seq_length:
        longest += f" (at most {info.max_positions:,})"
    own = (
        f"its own layers: {ArchitectureSpec((LayerSpec('transformer'), *info.layers)).to_text()}"
        if info.layers
        else "no layers of its own"
    )
    return " · ".join(
        (
            f"{info.model_type} family",
            f"token vectors of {info.width:,}",
            f"{weights} parameters",
            longest,
            "pretrained" if info.pretrained else "untrained: random weights",
            own,
        )
    )


def count_words(number: int) -> str:
    """Return a large number as people say it: 22.7 million."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if number >= size:
            return f"{number / size:.1f} {word}"
    return f"{number:,}"


def own_layers(info: EncoderInfo) -> ArchitectureSpec:
    """Return the stack a base encoder comes with; mean pooling where it has none."""
    return ArchitectureSpec((LayerSpec("transformer"), *(info.layers or (LayerSpec("pooling"),))))


class _Handlers:
    """What happens when something on the tab is used."""

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self.context = context
        self.parts = parts

    def on_load(self) -> dict[Any, Any]:
        """Show the draft."""
        return self._show(load_draft(self.context.home))

    def on_select(self, value: Any) -> dict[Any, Any]:
        """Show the draft if another tab changed it; what stands on this one and is not saved yet is left alone."""
        draft = load_draft(self.context.home)
        document = read_document(value)
        known = {document.saved}
        if document.complete:
            known.add(command_line(document.base, document.architecture))
        if not document.epoch or command_line(draft.base, draft.architecture) in known:
            return {self.parts["facts"]: gr.skip()}
        return self._show(draft, document, gently=True)

    def on_edit(self, value: Any) -> dict[Any, Any]:
        """Check what stands on the page and save it."""
        document = read_document(value)
        try:
            encoder = self.context.describe_base(document.base)
            saved = None
            if document.complete:
                update_draft(self.context.home, base=document.base, architecture=document.architecture)
                saved = command_line(document.base, document.architecture)
            ack = acknowledge(document, encoder, saved)
        except Exception as error:  # without an answer the page would send the same again and again
            return {self.parts["stack"]: gr.HTML(ack=fail(document, sentence(error)))}
        return {self.parts["stack"]: gr.HTML(ack=ack), self.parts["layers"]: gr.skip() if saved is None else saved}

    def on_base(self, name: str | None, value: Any) -> dict[Any, Any]:
        """Take another base encoder, with its own layers."""
        document = read_document(value)
        wanted = (name or "").strip()
        if wanted == document.base and document.epoch:
            return {self.parts["facts"]: self._facts(wanted)}
        try:
            if not wanted:
                raise ModelError("No base encoder is chosen; choose one from the list.", field="base")
            info = self.context.describe_base(wanted)
        except WorkbenchError as error:
            kept = f" The layers still belong to {document.base}." if document.base else ""
            return {self.parts["facts"]: notice(error.message + kept, "error")}
        draft = update_draft(self.context.home, base=wanted, architecture=own_layers(info))
        return self._show(draft, document)

    def on_preset(self, title: str, value: Any) -> dict[Any, Any]:
        """Replace the layers after the encoder."""
        document = read_document(value)
        base = document.base or load_draft(self.context.home).base
        encoder = document.blocks[0].spec
        draft = update_draft(self.context.home, base=base, architecture=ArchitectureSpec((encoder, *parse_layers(PRESETS[title]))))
        return self._show(draft, document)

    def on_search(self, query: str) -> dict[Any, Any]:
        """Look for encoders on the Hub."""
        from workbench.models import search_hub

        words = (query or "").strip()
        note, found = self.parts["hub_note"], self.parts["found"]
        if not words:
            return {note: notice("Type a part of a model's name first.", "note"), found: gr.Radio(visible=False)}
        try:
            entries = search_hub(words)
        except WorkbenchError as error:
            return {note: notice(error.message, "warning"), found: gr.Radio(visible=False)}
        if not entries:
            return {note: notice(f"No sentence encoder on the Hub is called {words!r}.", "note"), found: gr.Radio(visible=False)}
        choices = [(f"{entry.name} · {entry.description}", entry.name) for entry in entries]
        return {note: notice(""), found: gr.Radio(choices=choices, value=None, visible=True)}

    def _show(self, draft: Draft, before: Document | None = None, gently: bool = False) -> dict[Any, Any]:
        """Return the updates that show a draft in place of what stood there, `gently`: unless it was edited meanwhile."""
        line = command_line(draft.base, draft.architecture)
        after, rev = (before.epoch, before.rev) if before else (0, 0)
        value = write_document(draft.base, draft.architecture.layers, line, after, rev if gently else None)
        document = read_document(value)
        try:
            ack = acknowledge(document, self.context.describe_base(draft.base), line)
        except WorkbenchError as error:
            ack = fail(document, error.message)
        return {
            self.parts["base"]: gr.Dropdown(choices=self._choices(draft.base), value=draft.base),
            self.parts["facts"]: self._facts(draft.base),
            self.parts["stack"]: gr.HTML(value=value, ack=ack),
            self.parts["layers"]: line,
        }

    def _facts(self, name: str) -> gr.HTML:
        try:
            return notice(describe_facts(self.context.describe_base(name)), "plain")
        except WorkbenchError as error:
            return notice(error.message, "error")

    def _choices(self, chosen: str) -> list[tuple[str, str]]:
        from workbench.models import list_bases

        entries = list_bases(self.context.home)
        choices = [(entry.title if entry.available else f"{entry.title} · download", entry.name) for entry in entries]
        if chosen not in {name for _, name in choices}:
            choices.insert(0, (chosen, chosen))
        return choices


def _wire(context: Context, parts: dict[str, Any]) -> None:
    handlers = _Handlers(context, parts)
    shown = [parts[name] for name in SHOWN]
    parts["stack"].edit(
        handlers.on_edit,
        [parts["stack"]],
        [parts["stack"], parts["layers"]],
        trigger_mode="multiple",
        concurrency_limit=EDITS_AT_ONCE,
        **QUIET,
    )
    for number, title in enumerate(PRESETS, 1):
        parts[f"preset{number}"].click(
            guarded(lambda value, title=title: handlers.on_preset(title, value)), [parts["stack"]], shown, **QUIET
        )
    searched = [parts["hub_note"], parts["found"]]
    search: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    gr.on([parts["search"].click, parts["query"].submit], guarded(handlers.on_search), [parts["query"]], searched, **search)
    parts["picked"] = parts["base"].input(guarded(handlers.on_base), [parts["base"], parts["stack"]], shown, **search)
    parts["found_picked"] = parts["found"].input(guarded(handlers.on_base), [parts["found"], parts["stack"]], shown, **search)
