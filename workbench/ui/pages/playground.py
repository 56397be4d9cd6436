"""The Playground tab: the same texts through two models, side by side, in five views.

Models and texts are chosen once and shared by the views. What a view shows is computed in `playground_views`, what changes when the page
is opened or its texts come from elsewhere in `playground_updates`; here is what is where, and what leads to what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import InputError
from workbench.ui.components.heatmaps import create_heatmaps
from workbench.ui.components.notice import create_notice, notice
from workbench.ui.components.playground_panels import create_pair_reading, create_search_results, create_sizes, create_text_map
from workbench.ui.context import Context
from workbench.ui.feedback import sentence
from workbench.ui.pages import playground_views as views
from workbench.ui.pages.playground_updates import SOURCE_PARTS, VIEW_PARTS, VIEWS, shown_source, typed_updates, view_updates
from workbench.ui.playground_state import KEPT_FIELDS, keep_script
from workbench.ui.text_source import NO_LABEL, SET_PREFIX, read_collection
from workbench.ui.uploads import SAMPLE, SUFFIXES, store_upload
from workbench.ui.waiting import Done, follow

if TYPE_CHECKING:
    from workbench.playground import ProgressCallback

EXAMPLES = (
    ("My SIM card does not work", "the new chip in my mobile finds no network"),
    ("My SIM card was stolen", "somebody took my phone, block the number"),
    ("I want to move my appointment", "Can the engineer come on another day?"),
    ("I have not got my money yet", "you owe me a credit and it isn't on my account"),
)
"""Four requests, each in two wordings that share hardly a word; two of them begin alike and mean something else. None is in the sample
data. What the quick start gains on rows held out is seen on them, whatever its seed: `tests/ui/test_sample_texts.py`."""

QUERY = "the bill is wrong"
HEADERS = ("Sentence", "Other sentence", "First model", "Second model", "Change")

SLOTS = 8
"""Questions at once; they wait for each other in the encoder process, and are told so."""

SEEN_SCRIPT = "(view) => window.workbenchPlayground.seen(view)"
"""See `static/js/playground_kept.js`."""

LINK_SCRIPT = """async (name) => {
  if (!name) return ["", ""];
  const address = new URL(window.location.href);
  address.searchParams.set("tab", "playground");
  address.searchParams.set("set", name);
  window.history.replaceState(window.history.state, "", address);
  let said = "The link is copied. It opens these texts, models and settings on this workbench.";
  try { await navigator.clipboard.writeText(address.href); }
  catch { said = "The browser did not let the link be copied; copy it from the field."; }
  return [address.href, said];
}"""


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
    parts["status"] = create_notice(elem_id="playground-status")
    with gr.Row(elem_classes=["wb-view-row"]):
        parts["view"] = gr.Radio(
            label="View",
            choices=[(words, name) for name, words in VIEWS.items()],
            value="matrix",
            container=False,
            elem_id="playground-view",
            elem_classes=["wb-segments"],
        )
        parts["link"] = gr.Button("Copy link", scale=0, min_width=120, elem_id="playground-link")
    with gr.Row(visible=False) as parts["link_row"]:
        parts["link_text"] = gr.Textbox(label="Link to these examples", interactive=False, elem_id="playground-link-text")
    parts["link_note"] = create_notice(elem_id="playground-link-note")
    _create_texts(parts)
    _create_views(parts)
    # Held by the browser: the server forgets its sessions when it restarts.
    parts["chosen"] = gr.Textbox(value="", visible=False)
    parts["source"] = gr.Textbox(value="", visible=False)
    parts["set"] = gr.Textbox(value="", visible=False)
    parts["go"] = gr.Textbox(value="", visible=False)
    _wire(context, parts)
    return parts


def _create_texts(parts: dict[str, Any]) -> None:
    with gr.Row(equal_height=False) as parts["texts_row"]:
        with gr.Column(scale=3, min_width=300):
            parts["texts"] = gr.Textbox(
                label="One text per line; blank lines divide groups that mean the same",
                value="\n\n".join("\n".join(group) for group in EXAMPLES),
                lines=11,
                max_lines=14,
                elem_id="playground-texts",
            )
            parts["source_note"] = create_notice(elem_id="playground-source-note")
            parts["preview"] = gr.Textbox(
                label="The first of them", interactive=False, visible=False, lines=6, max_lines=6, elem_id="playground-preview"
            )
        with gr.Column(scale=2, min_width=280):
            parts["file"] = gr.File(
                label="Or a file: CSV, TSV, JSONL, TXT",
                file_types=list(SUFFIXES),
                type="filepath",
                height=120,
                elem_id="playground-file",
            )
            with gr.Row(visible=False) as parts["columns"]:
                parts["column"] = gr.Dropdown(label="Texts in column", choices=[], min_width=120, elem_id="playground-column")
                parts["label"] = gr.Dropdown(
                    label="Labels in column", choices=[NO_LABEL], value=NO_LABEL, min_width=120, elem_id="playground-label"
                )
            with gr.Row():
                parts["sample"] = gr.Button("Use the sample texts", min_width=120, elem_id="playground-sample")
                parts["type"] = gr.Button("Type texts instead", visible=False, min_width=120, elem_id="playground-type")


def _create_views(parts: dict[str, Any]) -> None:
    """Create what each view asks for, one line of words for all, and what each view shows."""
    with gr.Column() as parts["matrix_form"]:
        parts["compare"] = gr.Button("Compare", variant="primary", elem_id="playground-compare")
    with gr.Column(visible=False) as parts["pair_form"]:
        with gr.Row():
            parts["pair_first"] = gr.Textbox(
                label="First text", value=EXAMPLES[0][0], lines=2, min_width=280, elem_id="playground-pair-first"
            )
            parts["pair_second"] = gr.Textbox(
                label="Second text", value=EXAMPLES[0][1], lines=2, min_width=280, elem_id="playground-pair-second"
            )
        parts["pair_compare"] = gr.Button("Compare", variant="primary", elem_id="playground-pair-compare")
    with gr.Column(visible=False) as parts["search_form"], gr.Row(elem_classes=["wb-even"]):
        parts["query"] = gr.Textbox(label="Search for", value=QUERY, scale=4, min_width=260, elem_id="playground-query")
        parts["k"] = gr.Number(
            label="Results",
            value=10,
            precision=0,
            minimum=1,
            maximum=views.MOST_HITS,
            min_width=100,
            scale=0,
            elem_id="playground-k",
        )
        parts["search"] = gr.Button(
            "Search", variant="primary", scale=0, min_width=140, elem_id="playground-search", elem_classes=["wb-align-end"]
        )
    with gr.Column(visible=False) as parts["map_form"]:
        parts["method"] = gr.Radio(
            label="Layout", choices=[("PCA", "pca")], value="pca", visible=False, elem_id="playground-method"
        )
        parts["draw"] = gr.Button("Draw the map", variant="primary", elem_id="playground-draw")
    with gr.Column(visible=False) as parts["sizes_form"]:
        parts["measure"] = gr.Button("Measure", variant="primary", elem_id="playground-measure")
    parts["note"] = create_notice(elem_id="playground-note")
    with gr.Column() as parts["matrix_shown"]:
        parts["heatmaps"] = create_heatmaps(elem_id="playground-heatmaps")
        parts["pairs"] = gr.Dataframe(
            headers=list(HEADERS),
            datatype="str",
            label="Pairs, the order changed most first: place with each model, ✓ for a match, cosine",
            interactive=False,
            wrap=True,
            visible=False,
            max_height=420,
            buttons=[],
            column_widths=["28%", "28%", "16%", "16%", "12%"],
            elem_id="playground-pairs",
        )
    with gr.Column(visible=False) as parts["pair_shown"]:
        parts["reading"] = create_pair_reading(elem_id="playground-reading")
    with gr.Column(visible=False) as parts["search_shown"]:
        parts["results"] = create_search_results(elem_id="playground-results")
    with gr.Column(visible=False) as parts["map_shown"]:
        parts["map"] = create_text_map(elem_id="playground-map")
    with gr.Column(visible=False) as parts["sizes_shown"]:
        parts["sizes"] = create_sizes(elem_id="playground-sizes")


def start_encoder(context: Context, parts: dict[str, Any]) -> Iterator[dict[Any, Any]]:
    """Start the encoder process and say so while it takes; what goes wrong is said when it is needed."""

    def work(tell: ProgressCallback) -> None:
        if context.encoder.pid is None:
            tell("", {"stage": "starting"})
        context.encoder.start()

    try:
        for step in follow(work, {}):
            yield {parts["status"]: notice("" if isinstance(step, Done) else step.words, "note")}
    except Exception as error:
        yield {parts["status"]: notice(sentence(error), "error")}


def _wire(context: Context, parts: dict[str, Any]) -> None:
    _wire_texts(context, parts)
    _Views(context, parts).wire()
    _wire_link(context, parts)
    _wire_kept(parts)


def _wire_texts(context: Context, parts: dict[str, Any]) -> None:
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    outputs = [*(parts[name] for name in SOURCE_PARTS), parts["note"]]

    def show(source: str, column: str | None = None, label: str | None = None) -> dict[Any, Any]:
        try:
            return {**shown_source(context, parts, source, column, label), parts["note"]: notice("")}
        except Exception as error:
            return {parts["note"]: notice(sentence(error), "warning" if isinstance(error, InputError) else "error")}

    def on_file(path: str | None) -> dict[Any, Any]:
        if not path:
            return {**typed_updates(parts), parts["note"]: notice("")}
        try:
            token = store_upload(path, context.home)
        except InputError as error:
            return {parts["note"]: notice(sentence(error), "warning")}
        return show(token)

    def on_column(source: str, column: str | None, label: str | None) -> dict[Any, Any]:
        return show(source, column, label) if source and not source.startswith(SET_PREFIX) else {parts["note"]: notice("")}

    chosen = [parts["source"], parts["column"], parts["label"]]
    shown = [
        parts["file"].change(on_file, [parts["file"]], outputs, **quiet),
        parts["sample"].click(lambda: show(SAMPLE), None, outputs, **quiet),
        parts["type"].click(lambda: {**typed_updates(parts), parts["file"]: None}, None, [*outputs[:-1], parts["file"]], **quiet),
        # `input` is the user's doing alone; `change` would also answer to what `show` sets.
        parts["column"].input(on_column, chosen, outputs, **quiet),
        parts["label"].input(on_column, chosen, outputs, **quiet),
    ]
    for event in shown:
        event.then(None, [parts[name] for name in KEPT_FIELDS], None, js=keep_script(), api_visibility="private")


class _Views:
    """Asks the encoder process and shows the answers.

    Args:
        context: The server's context.
        parts: The page's components.
    """

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self.context = context
        self.parts = parts

    def wire(self) -> None:
        """Connect the buttons of the views, and what leads from one view to another."""
        # A press while an answer is on its way asks again behind it, with what is on the page by then.
        heavy: dict[str, Any] = {
            "api_visibility": "private",
            "show_progress": "hidden",
            "concurrency_limit": SLOTS,
            "trigger_mode": "always_last",
        }
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        parts, note = self.parts, self.parts["note"]
        models = [parts["first"], parts["second"]]
        texts = [parts["texts"], parts["source"], parts["column"], parts["label"]]
        asked = [*models, parts["query"], parts["k"], *texts]
        pair = [parts["pair_first"], parts["pair_second"]]
        parts["compare"].click(self.on_compare, [*models, *texts], [note, parts["heatmaps"], parts["pairs"]], **heavy)
        parts["pair_compare"].click(self.on_pair, [*models, *pair], [note, parts["reading"]], **heavy)
        for event in (parts["search"].click, parts["query"].submit):
            event(self.on_search, asked, [note, parts["results"]], **heavy)
        parts["draw"].click(self.on_draw, [*models, parts["method"], *texts], [note, parts["map"]], **heavy)
        parts["measure"].click(self.on_measure, [*models, *texts], [note, parts["sizes"]], **heavy)

        shown = [parts[name] for name in VIEW_PARTS]
        parts["view"].change(self.on_view, [parts["view"]], [*shown, note], **quiet)
        for panel in (parts["results"], parts["map"]):
            panel.more(self.on_more, None, [parts["query"], parts["view"], *shown], **quiet).then(
                None, None, None, js='() => window.workbenchPlayground.press("search")', api_visibility="private"
            )
        parts["heatmaps"].pair(self.on_read_pair, None, [*pair, parts["view"], *shown], **quiet).then(
            None, None, None, js='() => window.workbenchPlayground.press("pair")', api_visibility="private"
        )

    def answer(
        self,
        first: str | None,
        second: str | None,
        work: Callable[[list[str], dict[str, str], ProgressCallback], Any],
        show: Callable[[Any], dict[Any, Any]],
    ) -> Iterator[dict[Any, Any]]:
        """Ask in the encoder process, saying how far it is.

        Args:
            first: One model.
            second: The other.
            work: Asks: the models, what to call them, and where to tell how far it is.
            show: Turns the answer into updates.
        """
        note = self.parts["note"]
        try:
            chosen = views.check_models(first, second)
            names = views.model_names(self.context)
            for step in follow(lambda tell: work(chosen, names, tell), names):
                yield {note: notice(""), **show(step.value)} if isinstance(step, Done) else {note: notice(step.words, "note")}
        except Exception as error:
            yield {note: notice(sentence(error), "warning" if isinstance(error, InputError) else "error")}

    def on_compare(self, first: str | None, second: str | None, *given: Any) -> Iterator[dict[Any, Any]]:
        """Compare every text with every other."""
        parts = self.parts

        def show(value: tuple[dict[str, Any], list[list[Any]], str]) -> dict[Any, Any]:
            heatmaps, rows, left_out = value
            return {
                parts["note"]: notice(left_out),
                parts["heatmaps"]: heatmaps,
                parts["pairs"]: gr.Dataframe(value=rows, visible=True),
            }

        yield from self.answer(
            first,
            second,
            lambda models, names, tell: views.matrix_view(self.context, models, read_collection(self.context, *given), names, tell),
            show,
        )

    def on_pair(self, first: str | None, second: str | None, one: str, other: str) -> Iterator[dict[Any, Any]]:
        """Read one pair word by word."""
        yield from self.answer(
            first,
            second,
            lambda models, names, tell: views.pair_view(self.context, models, one, other, names, tell),
            lambda value: {self.parts["note"]: notice(value["note"], "note"), self.parts["reading"]: value},
        )

    def on_search(
        self, first: str | None, second: str | None, query: str, k: float | None, *given: Any
    ) -> Iterator[dict[Any, Any]]:
        """Look for the texts most like a query."""
        yield from self.answer(
            first,
            second,
            lambda models, names, tell: views.search_view(
                self.context, models, read_collection(self.context, *given), query, int(k or 10), names, tell
            ),
            lambda value: {self.parts["results"]: value},
        )

    def on_draw(self, first: str | None, second: str | None, method: str, *given: Any) -> Iterator[dict[Any, Any]]:
        """Draw the maps."""
        yield from self.answer(
            first,
            second,
            lambda models, names, tell: views.map_view(
                self.context, models, read_collection(self.context, *given), method, names, tell
            ),
            lambda value: {self.parts["map"]: value},
        )

    def on_measure(self, first: str | None, second: str | None, *given: Any) -> Iterator[dict[Any, Any]]:
        """Measure what smaller vectors keep."""
        yield from self.answer(
            first,
            second,
            lambda models, names, tell: views.sizes_view(self.context, models, read_collection(self.context, *given), names, tell),
            lambda value: {self.parts["sizes"]: value},
        )

    def on_view(self, view: str) -> dict[Any, Any]:
        """Open a view."""
        return {**view_updates(self.parts, view), self.parts["note"]: notice("")}

    def on_more(self, event: gr.EventData) -> dict[Any, Any]:
        """Make a text the next query."""
        parts = self.parts
        return {parts["query"]: str(event.text), parts["view"]: "search", **view_updates(parts, "search")}

    def on_read_pair(self, event: gr.EventData) -> dict[Any, Any]:
        """Take a cell of the heatmap to the view of one pair."""
        parts = self.parts
        pair = {parts["pair_first"]: str(event.first), parts["pair_second"]: str(event.second)}
        return {**pair, parts["view"]: "pair", **view_updates(parts, "pair")}


def _wire_kept(parts: dict[str, Any]) -> None:
    """Keep what is shown whenever that changes; all of it happens in the browser."""
    kept: dict[str, Any] = {"fn": None, "inputs": [parts[name] for name in KEPT_FIELDS], "api_visibility": "private"}
    for name in ("first", "second"):
        # `input` is the user's doing alone; `change` also answers to what the page sets by itself.
        parts[name].input(lambda: "yes", None, [parts["chosen"]], api_visibility="private", show_progress="hidden").then(
            **kept, js=keep_script()
        )
    for name in ("first", "second", "view", "texts", "pair_first", "pair_second", "query", "k", "method"):
        parts[name].change(**kept, js=keep_script())
    asks = {"compare": "matrix", "pair_compare": "pair", "search": "search", "draw": "map", "measure": "sizes"}
    for button, view in asks.items():
        parts[button].click(**kept, js=keep_script(view))
    parts["query"].submit(**kept, js=keep_script("search"))
    parts["view"].change(None, [parts["view"]], None, js=SEEN_SCRIPT, api_visibility="private")


def opened_inputs(parts: dict[str, Any]) -> list[Any]:
    """Return what `opened_script` is handed."""
    return [parts[name] for name in ("go", *KEPT_FIELDS)]


def opened_script() -> str:
    """Return what is to be done once everything is shown that was wanted: ask for the open view, and keep things from now on."""
    return f"(view, ...values) => {{ window.workbenchPlayground.opened(view); ({keep_script()})(...values); }}"


def _wire_link(context: Context, parts: dict[str, Any]) -> None:
    names = ("first", "second", "view", "texts", "source", "column", "label", "pair_first", "pair_second", "query", "k", "method")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def on_link(*given: Any) -> dict[Any, Any]:
        from workbench.playground import ExampleSet, save_examples

        values = dict(zip(names, given, strict=True))
        try:
            collection = read_collection(context, values["texts"], values["source"], values["column"], values["label"])
            examples = ExampleSet(
                first=values["first"] or "",
                second=values["second"] or "",
                view=values["view"],
                texts=collection.texts,
                labels=collection.labels,
                name=collection.name,
                pair=(values["pair_first"] or "", values["pair_second"] or ""),
                query=values["query"] or "",
                k=int(values["k"] or 10),
                method=values["method"] or "pca",
            )
            return {parts["set"]: save_examples(examples, context.home), parts["link_row"]: gr.Row(visible=True)}
        except Exception as error:
            return {parts["set"]: "", parts["link_note"]: notice(sentence(error), "warning")}

    said = gr.Textbox(visible=False)
    parts["link"].click(
        on_link, [parts[name] for name in names], [parts["set"], parts["link_row"], parts["link_note"]], **quiet
    ).then(None, [parts["set"]], [parts["link_text"], said], js=LINK_SCRIPT, api_visibility="private").then(
        lambda words: notice(words, "good") if words else gr.skip(), [said], [parts["link_note"]], **quiet
    )
