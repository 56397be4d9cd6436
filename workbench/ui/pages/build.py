"""The Build tab: the base encoder, presets, and the stack of layers on top of it."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.errors import ConfigError, ModelError, WorkbenchError
from workbench.recipe import ArchitectureSpec, EncoderInfo, LayerSpec, LayerState, default_loss, parse_layers
from workbench.ui.components.dry_pass import create_dry_pass, dry_pass_value, dry_pass_words
from workbench.ui.components.layer_stack import (
    Document,
    acknowledge,
    create_layer_stack,
    decline,
    describe_replaced,
    fail,
    numbered,
    propagate,
    read_document,
    redirect,
    request_script,
    write_document,
)
from workbench.ui.components.notice import create_notice, notice
from workbench.ui.components.presets import Preset, create_presets, presets_value
from workbench.ui.components.towers import create_towers, describe_towers
from workbench.ui.context import Context
from workbench.ui.draft import Draft, load_draft, update_draft
from workbench.ui.feedback import guarded, sentence
from workbench.ui.formatting import find_dataset, format_dataset, format_kind, run_label, short_base
from workbench.ui.recipe_text import ASSUMED_KIND, LONGEST_RECIPE, open_recipe, program_text, recipe_note, recipe_text
from workbench.ui.uploads import SAMPLE_FILE

PRESETS = (
    Preset(
        "Sentence-BERT: mean pooling",
        "pooling:mean",
        "The mean of all token vectors. The usual start: nothing new to learn, and hard to beat.",
    ),
    Preset(
        "Sentence-BERT + Dense 256 tanh",
        "pooling:mean,dense:256:tanh",
        "A learned map to 256 numbers between −1 and 1; the fewer numbers, the smaller and quicker the index.",
    ),
    Preset(
        "CLS pooling",
        "pooling:cls",
        "Only the first token's vector. For encoders that were trained so, such as BGE; others do better with the mean.",
    ),
    Preset(
        "Mean + max pooling",
        "pooling:mean+max",
        "Mean and largest numbers side by side: what a text is about and its strongest signals.",
    ),
    Preset(
        "Mean pooling + Normalize",
        "pooling:mean,normalize",
        "Vectors of length 1, so that a vector database may use the dot product as the cosine.",
    ),
    Preset(
        "Prompt left out + Normalize",
        "pooling:mean:include_prompt=false,normalize",
        "For encoders that take an instruction before each text: its tokens are read but not averaged in.",
    ),
)
"""Stacks to start from."""

STACK = "build-stack"
"""Id of the layer stack's element."""

ASKED_AT_ONCE = 8
"""Questions of several windows that are answered at the same time; Gradio's default of one is shared by all of them."""


def create_build_page(context: Context) -> dict[str, Any]:
    """Build the tab.

    Args:
        context: The server's context.

    Returns:
        Components by name; `stack` is the layer stack. After `picked` another base is in the draft, after `opened` another recipe.
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
                parts["start"] = gr.Markdown("## Start from a preset", elem_id="build-presets")
                parts["presets"] = create_presets(PRESETS, STACK, elem_id="build-preset-list")
        with gr.Column(scale=5, min_width=320):
            parts["stack"] = create_layer_stack(elem_id=STACK)
            parts["layers"] = gr.Textbox(
                label="The same on the command line",
                info="What `train` takes to build exactly this network.",
                interactive=False,
                buttons=["copy"],
                max_lines=4,
                elem_id="build-layers",
                elem_classes=["wb-mono"],
            )
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300, elem_classes=["wb-section"]):
            gr.Markdown("## What is trained", elem_id="build-drawing-title")
            parts["drawing"] = create_towers(elem_id="build-drawing")
        with gr.Column(scale=3, min_width=320, elem_classes=["wb-section"]):
            gr.Markdown("## Try it before training", elem_id="build-dry-title")
            parts["try"] = gr.Button("Try it on three of my rows", elem_id="build-try")
            parts["dry"] = create_dry_pass(DRY_WORDS, elem_id="build-dry")
            gr.Markdown("## The recipe", elem_id="build-recipe-title")
            parts["recipe_note"] = create_notice(elem_id="build-recipe-note")
            with gr.Accordion("As JSON", open=False, elem_id="build-recipe-json"):
                parts["recipe"] = gr.Code(
                    language="json", interactive=False, max_lines=24, elem_id="build-recipe", show_label=False, label="recipe.json"
                )
            with gr.Accordion("As a Python program", open=False, elem_id="build-recipe-program"):
                parts["program"] = gr.Code(
                    language="python", interactive=False, max_lines=30, elem_id="build-program", show_label=False, label="train.py"
                )
            parts["open"] = gr.UploadButton("Open a recipe …", file_types=[".json"], size="md", elem_id="build-open")
            parts["open_note"] = create_notice(elem_id="build-open-note")
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


SHOWN = ("base", "facts", "presets", "stack", "layers", "drawing", "dry", "recipe_note", "recipe", "program", "open_note")
DRY_WORDS = (
    "Three rows of your data set go through the network as a run would begin with it, in a few seconds: "
    "shapes, numbers, texts that are cut off, and what to change."
)
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
    longest = f"texts up to {info.max_seq_length:,} tokens"
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


def preset_widths(info: EncoderInfo | None) -> list[str]:
    """Return for each preset what it makes of an encoder's width, in a sentence; nothing where the encoder is not known."""
    if info is None:
        return []
    sentences = []
    for preset in PRESETS:
        architecture = ArchitectureSpec((LayerSpec("transformer"), *parse_layers(preset.layers)))
        width = architecture.propagate(info)[-1].width or info.width
        change = "larger" if width > info.width else "smaller"
        sentences.append(
            f"Here {width:,} numbers, as many as the encoder has."
            if width == info.width
            else f"Here {info.width:,} to {width:,} numbers: {change}."
        )
    return sentences


def caption(draft: Draft, dataset: Any) -> str:
    """Return what the drawing is of, in one sentence.

    Args:
        draft: What is set.
        dataset: Its data set, None where there is none.
    """
    kind = dataset.kind if dataset else ASSUMED_KIND
    usual = default_loss(kind)
    if dataset is None:
        return f"No data set is chosen yet, so this is drawn for {format_kind(kind)}; the objective follows the data."
    if draft.loss is None:
        return f"{format_dataset(dataset)}, with {usual.name}, which fits them unless Train says otherwise."
    if kind not in draft.loss.entry.kinds:
        return (
            f"{draft.loss.name} does not train on {format_kind(kind)}, so this shows {usual.name}; choose the objective in Train."
        )
    return f"{format_dataset(dataset)}, with {draft.loss.name} as chosen in Train."


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
        """Show the draft if something else changed it; what stands on this tab and is not saved yet is left alone."""
        draft = load_draft(self.context.home)
        document = read_document(value)
        known = {document.saved}
        if document.complete:
            known.add(command_line(document.base, document.architecture))
        if not document.epoch:  # the page is opening, and `on_load` shows everything
            return {self.parts["facts"]: gr.skip()}
        if command_line(draft.base, draft.architecture) in known:
            # The stack is the same; data set and objective may be others, and so may the runs to start from.
            return {**self._base(draft.base), **self._panels(document, draft)}
        return self._show(draft, document, gently=True, words="the change made elsewhere")

    def on_edit(self, value: Any) -> dict[Any, Any]:
        """Check what stands on the page and save it."""
        document = read_document(value)
        missed = self.context.missed(document.window, document.epoch)
        if missed is not None:  # the edit is one of a stack that has been replaced; saved, it would undo what replaced it
            return {self.parts["stack"]: gr.HTML(ack=numbered(redirect(document, missed)))}
        try:
            encoder = self.context.describe_base(document.base)
            before = draft = load_draft(self.context.home)
            saved = replaced = None
            if document.complete:
                draft = update_draft(self.context.home, base=document.base, architecture=document.architecture)
                saved = command_line(document.base, document.architecture)
                replaced = self._replaced(before, document, saved)
            ack = acknowledge(document, encoder, saved, replaced)
            changes = {
                self.parts["stack"]: gr.HTML(ack=numbered(ack)),
                # What was refused before is history.
                self.parts["facts"]: self._facts(document.base),
                self.parts["open_note"]: notice(""),
                **self._panels(document, draft),
            }
            if saved is not None:
                changes[self.parts["layers"]] = saved
            if before.base != draft.base:
                changes |= self._base(draft.base)
        except Exception as error:  # without an answer the page would send the same again and again
            return {self.parts["stack"]: gr.HTML(ack=numbered(fail(document, sentence(error))))}
        return changes

    def _replaced(self, before: Draft, document: Document, saved: str) -> dict[str, Any] | None:
        """Return what another window had saved that this one had not seen, and remember who saved last."""
        line = command_line(before.base, before.architecture)
        unseen = line not in {document.saved, saved} and self.context.last_edit != (line, document.window)
        self.context.last_edit = (saved, document.window)
        return describe_replaced(before.base, before.architecture.layers, line) if unseen else None

    def on_base(self, value: Any, event: gr.EventData) -> Any:
        """Take another base encoder, with its own layers."""
        document = self._current(value)
        wanted = str(event.name or "").strip()
        return self._once(document, lambda: self._take_base(document, wanted))

    def _take_base(self, document: Document, wanted: str) -> dict[Any, Any]:
        if wanted == document.base and document.epoch:
            # Putting the name back after one that was refused comes here too, and must not take the reason away.
            return {self.parts["stack"]: gr.HTML(ack=numbered(decline(document)))}
        try:
            if not wanted:
                raise ModelError("No base encoder is chosen; choose one from the list.", field="base")
            info = self.context.describe_base(wanted)
            draft = update_draft(self.context.home, base=wanted, architecture=own_layers(info))
        except Exception as error:
            words = f" The layers still belong to {document.base}." if document.base else ""
            shown = {self.parts["base"]: gr.Dropdown(choices=self._choices(document.base), value=document.base)}
            return {**self._refuse(document, error, words), **(shown if document.base else {})}
        return self._show(draft, document, words=f"the encoder {short_base(wanted)}")

    def on_preset(self, value: Any, event: gr.EventData) -> Any:
        """Replace the layers after the encoder by those of a preset."""
        document = self._current(value)
        return self._once(document, lambda: self._take_preset(document, event))

    def _take_preset(self, document: Document, event: gr.EventData) -> dict[Any, Any]:
        try:
            preset = PRESETS[int(event.number) - 1]
            draft = self._put(document, parse_layers(preset.layers))
        except Exception as error:
            return self._refuse(document, error)
        return self._show(draft, document, words=f"the preset {preset.title}")

    def on_own(self, value: Any) -> Any:
        """Replace the layers after the encoder by those the model brings along."""
        document = self._current(value)
        return self._once(document, lambda: self._take_own(document))

    def _take_own(self, document: Document) -> dict[Any, Any]:
        try:
            info = self.context.describe_base(document.base or load_draft(self.context.home).base)
            draft = self._put(document, own_layers(info).layers[1:])
        except Exception as error:
            return self._refuse(document, error)
        return self._show(draft, document, words="the model's own layers")

    def _once(self, document: Document, work: Callable[[], dict[Any, Any]]) -> Any:
        """Return what replaces a stack; nothing while that is still being found out."""
        if not document.window:
            return work()
        found = self.context.answer_once(document.window, document.ask, work)
        return gr.skip() if found is None else found

    def _refuse(self, document: Document, error: Exception, words: str = "") -> dict[Any, Any]:
        """Return what says why the stack was not replaced; without an answer the page would ask again and again."""
        answered = gr.HTML(ack=numbered(decline(document)))
        return {self.parts["facts"]: notice(sentence(error) + words, "error"), self.parts["stack"]: answered}

    def _put(self, document: Document, layers: tuple[LayerSpec, ...]) -> Draft:
        """Save other layers after the encoder."""
        base = document.base or load_draft(self.context.home).base
        return update_draft(self.context.home, base=base, architecture=ArchitectureSpec((document.blocks[0].spec, *layers)))

    def _current(self, value: Any) -> Document:
        """Return the stack a window holds, or the one it is about to get."""
        document = read_document(value)
        missed = self.context.missed(document.window, document.epoch)
        return document if missed is None else dataclasses.replace(read_document(missed), ask=document.ask)

    def on_open(self, path: str | None, value: Any) -> dict[Any, Any]:
        """Put a recipe file into the draft."""
        if not path:
            return {self.parts["open_note"]: notice("")}
        try:
            if Path(path).stat().st_size > LONGEST_RECIPE:
                raise ConfigError(
                    f"The file is larger than any recipe ({LONGEST_RECIPE:,} bytes); choose a recipe.json.", field="recipe"
                )
            draft, words = open_recipe(Path(path).read_text(encoding="utf-8-sig"), self.context)
        except UnicodeDecodeError:
            return {self.parts["open_note"]: notice("The file is no recipe: it is not UTF-8 text.", "error")}
        except Exception as error:
            return {self.parts["open_note"]: notice(sentence(error) + " Nothing was changed.", "error")}
        shown = self._show(draft, self._current(value), words="the recipe that was opened")
        return {**shown, self.parts["open_note"]: notice(words, "good")}

    def on_try(self, value: Any) -> Iterator[dict[Any, Any]]:
        """Pass three rows through the network that stands on the page."""
        document = read_document(value)
        dry = self.parts["dry"]
        try:
            line = command_line(document.base, document.architecture)
            path = " → ".join(block.spec.entry.title for block in document.blocks)
            words = f"Building {short_base(document.base)}: {path}, and passing three rows through it. The first time loads the encoder."
            yield {dry: gr.HTML(result=dry_pass_words("waiting", words), line=line)}
            yield {dry: gr.HTML(result=self._try(document, line))}
        except Exception as error:
            yield {dry: gr.HTML(result=dry_pass_words("error", sentence(error)))}

    def _try(self, document: Document, line: str) -> dict[str, Any]:
        from workbench.data import load_pairs
        from workbench.playground import plan_dry_pass

        _, errors = propagate(document, self.context.describe_base(document.base))
        if errors:
            raise ConfigError(f"This stack cannot be built yet. {errors[0]['message']}", field="layers")
        draft = load_draft(self.context.home)
        dataset = find_dataset(draft.data, self.context)
        table = dataset.table() if dataset else load_pairs(SAMPLE_FILE)
        request = plan_dry_pass(document.base, document.architecture, table, self.context.home, draft.training.seed)
        result = self.context.encoder.dry_pass(request)
        numbers = ", ".join(str(row) for row in request.rows)
        source = (
            f"Rows {numbers} of {dataset.name}, the one with the longest text among them."
            if dataset
            else f"No data set is chosen, so these are rows {numbers} of the sample data."
        )
        return dry_pass_value(result, source, line)

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

    def _show(self, draft: Draft, before: Document | None = None, gently: bool = False, words: str = "") -> dict[Any, Any]:
        """Return the updates that show a draft in place of what stood there, `gently`: unless it was edited meanwhile.

        Args:
            draft: What to show.
            before: What stood there.
            gently: Whether edits that Python does not know of win.
            words: What Undo calls the change.
        """
        line = command_line(draft.base, draft.architecture)
        after, rev = (before.epoch, before.rev) if before else (0, 0)
        value = write_document(draft.base, draft.architecture.layers, line, after, rev if gently else None, words)
        if before is not None:
            value |= {"window": before.window, "ask": before.ask}
        document = read_document(value)
        try:
            value["answer"] = acknowledge(document, self.context.describe_base(draft.base), line)
        except WorkbenchError as error:
            value["answer"] = fail(document, error.message)
        if before is not None and not gently:
            self.context.last_edit = (line, before.window)
            self.context.issue(before.window, value)
        return {
            **self._base(draft.base),
            self.parts["stack"]: gr.HTML(news=value),
            self.parts["layers"]: line,
            self.parts["open_note"]: notice(""),
            **self._panels(document, draft),
        }

    def _base(self, name: str) -> dict[Any, Any]:
        """Return the updates of what is said of the base encoder."""
        info = self._find_base(name)
        own = ArchitectureSpec((LayerSpec("transformer"), *info.layers)).to_text() if info else ""
        return {
            self.parts["base"]: gr.Dropdown(choices=self._choices(name), value=name),
            self.parts["facts"]: self._facts(name),
            self.parts["presets"]: gr.HTML(value=presets_value(own, preset_widths(info))),
        }

    def _panels(self, document: Document, draft: Draft) -> dict[Any, Any]:
        """Return the updates of what is drawn and written from the stack: the towers, the recipe, the program."""
        from workbench.models.bases import BUNDLED
        from workbench.runs import resolve_model

        dataset = find_dataset(draft.data, self.context)
        info = self._find_base(document.base)
        layers = document.architecture.layers
        states = propagate(document, info)[0] if info else [LayerState(layer.entry.produces, None, 0) for layer in layers]
        kind = dataset.kind if dataset else ASSUMED_KIND
        loss = draft.loss or default_loss(kind)
        if kind not in loss.entry.kinds:
            loss = default_loss(kind)
        try:
            base = str(BUNDLED.get(draft.base) or resolve_model(draft.base, self.context.home))
        except WorkbenchError:
            base = draft.base
        note, complete = recipe_note(draft, dataset)
        return {
            self.parts["drawing"]: describe_towers(layers, states, kind, loss, short_base(document.base), caption(draft, dataset)),
            self.parts["dry"]: gr.HTML(line=command_line(document.base, document.architecture)),
            self.parts["recipe_note"]: notice(note, "plain" if complete else "note"),
            self.parts["recipe"]: recipe_text(draft),
            self.parts["program"]: program_text(draft, dataset, self._find_base(draft.base), base),
        }

    def _find_base(self, name: str) -> EncoderInfo | None:
        try:
            return self.context.describe_base(name)
        except WorkbenchError:
            return None

    def _facts(self, name: str) -> gr.HTML:
        try:
            return notice(describe_facts(self.context.describe_base(name)), "plain")
        except WorkbenchError as error:
            return notice(error.message, "error")

    def _choices(self, chosen: str) -> list[tuple[str, str]]:
        from workbench.models import list_bases
        from workbench.runs import list_runs

        entries = list_bases(self.context.home)
        choices = [(entry.title, entry.name) for entry in entries if entry.available]
        choices += [
            (f"Run: {run_label(run)}", run.run_id) for run in list_runs(self.context.home) if not run.active and run.model_folder
        ]
        choices += [(f"{entry.title} · download", entry.name) for entry in entries if not entry.available]
        if chosen not in {name for _, name in choices}:
            choices.insert(0, (chosen, chosen))
        return choices


def _wire(context: Context, parts: dict[str, Any]) -> None:
    handlers = _Handlers(context, parts)
    shown = [parts[name] for name in SHOWN]
    stack = [parts["stack"]]
    parts["stack"].edit(handlers.on_edit, stack, shown, trigger_mode="multiple", concurrency_limit=ASKED_AT_ONCE, **QUIET)
    parts["stack"].look(guarded(handlers.on_select), stack, shown, **QUIET)
    # A question that is asked again must reach Python although the first is still open, for its answer may be lost.
    again: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": ASKED_AT_ONCE}
    parts["stack"].preset(handlers.on_preset, stack, shown, **again, **QUIET)
    parts["stack"].own(handlers.on_own, stack, shown, **again, **QUIET)
    # The encoder process lets requests wait for each other by itself; what cannot be built is said without waiting.
    parts["try"].click(handlers.on_try, stack, [parts["dry"]], concurrency_limit=ASKED_AT_ONCE, **QUIET)
    searched = [parts["hub_note"], parts["found"]]
    search: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal", "show_progress_on": parts["query"]}
    gr.on([parts["search"].click, parts["query"].submit], guarded(handlers.on_search), [parts["query"]], searched, **search)
    search["show_progress_on"] = parts["start"]
    parts["picked"] = parts["stack"].base(handlers.on_base, stack, shown, **again, **search)
    for choice in ("base", "found"):
        parts[choice].input(None, parts[choice], None, js=request_script("base", "name", elem_id=STACK), api_visibility="private")
    parts["opened"] = parts["open"].upload(guarded(handlers.on_open), [parts["open"], *stack], shown, **search)
