"""The page: a strip on top, five tabs, and what one tab tells another. Only wiring, no logic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from workbench.ui.components.flow import create_flow, flow_value
from workbench.ui.components.live_run import attach
from workbench.ui.components.next_action import create_next_action, next_value
from workbench.ui.context import Context
from workbench.ui.dataset_form import stored_choices
from workbench.ui.draft import load_draft
from workbench.ui.feedback import guarded
from workbench.ui.formatting import find_dataset, find_problem, flow_steps, next_action
from workbench.ui.pages.build import connect_build_page, create_build_page
from workbench.ui.pages.data import create_data_page, describe_current
from workbench.ui.pages.playground import SEEN_SCRIPT, create_playground_page, opened_inputs, opened_script, start_encoder
from workbench.ui.pages.playground_updates import VIEW_PARTS, choices_view, open_wanted, view_updates, wanted_outputs
from workbench.ui.pages.runs import create_runs_page, list_outputs, list_view
from workbench.ui.pages.train import ask_script, create_train_page, fill_form, form_inputs, merge_form, reach_run
from workbench.ui.quick_start import quick_start

PRODUCT = "Embedding Workbench"
CLAIM = "Fine-tune a sentence encoder on your own pairs, and see whether it got better."
TAB_SCRIPT = """<script>
  window.workbenchTab = new URL(window.location.href).searchParams.get("tab") || "";
</script>"""
"""Reads what the address names before Gradio starts: opening the first tab already writes the address again."""

TABS = ("build", "data", "train", "runs", "playground")


def create_blocks(context: Context) -> gr.Blocks:
    """Build the page.

    Args:
        context: The server's context.
    """
    with gr.Blocks(title=PRODUCT, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as blocks:
        with gr.Row(elem_classes=["wb-header"], equal_height=True):
            heading = gr.Markdown(f"# {PRODUCT}\n{CLAIM}", elem_id="product")
            start = gr.Button("Quick start with sample data", variant="primary", scale=0, min_width=280, elem_id="quick-start")
        flow = create_flow([], elem_id="flow")
        following = create_next_action(elem_id="next")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Build", id="build") as build_tab:
                build = create_build_page(context)
            with gr.Tab("Data", id="data") as data_tab:
                data = create_data_page(context)
            with gr.Tab("Train", id="train") as train_tab:
                train = create_train_page(context)
            with gr.Tab("Runs", id="runs") as runs_tab:
                runs = create_runs_page(context)
            with gr.Tab("Playground", id="playground") as playground_tab:
                playground = create_playground_page(context)
        page = _Page(context, [flow, following], tabs, build, data, train, runs, playground)
        page.wire(blocks, start, dict(zip(TABS, (build_tab, data_tab, train_tab, runs_tab, playground_tab), strict=True)))
        keep_answers(blocks, heading)
    return blocks


def keep_answers(blocks: gr.Blocks, still: gr.Markdown) -> None:
    """Let every event show that it is on its way on a part that no event changes, unless the event names one itself.

    Gradio would show it on what the event changes, and at each change of any event's status it reads the value of all these
    parts and writes it back a moment later: an answer to another event that comes in between is lost.

    Args:
        blocks: The page, with all its events.
        still: A part that no event changes.
    """
    for event in blocks.fns.values():
        event.show_progress_on = event.show_progress_on or [still]


class _Page:
    """Events that concern more than one tab."""

    def __init__(
        self, context: Context, flow: list[Any], tabs: Any, build: Any, data: Any, train: Any, runs: Any, playground: Any
    ) -> None:
        self.context = context
        self.flow, self.tabs = flow, tabs
        self.build, self.data, self.train, self.runs, self.playground = build, data, train, runs, playground

    def wire(self, blocks: gr.Blocks, start: gr.Button, by_name: dict[str, gr.Tab]) -> None:
        """Connect the events."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        flow = self.flow
        data = [self.data["current"], self.data["allow_leaking"], self.data["stored"]]
        models = [self.playground[name] for name in ("first", "second", "chosen")]
        listed = list_outputs(self.runs)
        timer = self.runs["timer"]

        wanted = gr.Textbox(visible=False)
        blocks.load(guarded(self.on_open), [wanted], [self.tabs], js="() => window.workbenchTab", **quiet)
        blocks.load(guarded(self.on_flow), None, flow, **quiet)
        blocks.load(guarded(self.on_data), None, data, **quiet)
        fill_form(self.context, self.train, blocks.load, forget=False)
        blocks.load(guarded(self.on_runs), None, [*listed, timer], **quiet)
        models_js = "(first, second, chosen) => [first, second, chosen, window.workbenchPlayground.wanted]"
        # What was kept or a link names comes after its models, for they are asked at once.
        blocks.load(guarded(self.on_models), [*models, wanted], models, js=models_js, **quiet).then(
            self.on_wanted, [wanted], wanted_outputs(self.playground), js="() => window.workbenchPlayground.wanted", **quiet
        ).then(None, opened_inputs(self.playground), None, js=opened_script(), api_visibility="private")

        for name, tab in by_name.items():
            tab.select(None, None, None, js=_remember_tab(name), api_visibility="private")
            tab.select(guarded(self.on_flow), None, flow, **quiet)
            if name != "runs":
                tab.select(lambda: gr.Timer(active=False), None, [timer], **quiet)
        by_name["data"].select(guarded(self.on_data), None, data, **quiet)
        asked_js = f"(stack, ...rest) => [stack, ...({ask_script(self.train)})(...rest)]"
        seen = [self.build["stack"], *form_inputs(self.train)]
        merge_form(
            self.train,
            by_name["train"].select(guarded(self.train["on_select"]), seen, self.train["answered"], js=asked_js, **quiet),
        )
        by_name["runs"].select(guarded(self.on_runs), None, [*listed, timer], **quiet)
        again_js = "(first, second, chosen) => [first, second, chosen, window.workbenchPlayground.open]"
        opened = gr.Checkbox(visible=False)
        by_name["playground"].select(guarded(self.on_models_again), [*models, opened], models, js=again_js, **quiet)
        by_name["playground"].select(self.on_playground, None, [self.playground["status"]], **quiet)
        by_name["playground"].select(None, [self.playground["view"]], None, js=SEEN_SCRIPT, api_visibility="private")

        started = start.click(
            guarded(self.on_quick_start),
            None,
            [self.tabs, self.train["live"], self.train["begun"], *flow],
            show_progress="minimal",
            api_visibility="private",
        )
        reach_run(self.train, started)
        fill_form(self.context, self.train, started.then, forget=True)
        flow[0].open(self.on_step, None, [self.tabs], **quiet)
        flow[1].open(self.on_next, None, [self.tabs, self.train["live"]], **quiet)
        connect_build_page(self.context, self.build, blocks, by_name["build"])
        self.build["picked"].then(guarded(self.on_flow), None, flow, **quiet)
        # Undo may bring another encoder back.
        self.build["base"].change(guarded(self.on_flow), None, flow, **quiet)
        for changed in (self.data["used"].change, self.data["allowed"].then, self.runs["copied"].then, self.build["opened"].then):
            shown = changed(guarded(self.on_flow), None, flow, **quiet)
            fill_form(self.context, self.train, shown.then, forget=True)
        for changed in ("started", "edited"):
            self.train[changed].then(guarded(self.on_flow), None, flow, **quiet)
        self.train["live"].state(guarded(self.on_flow), None, flow, **quiet)
        views = [self.playground[name] for name in ("view", *VIEW_PARTS)]
        self.train["live"].compare(self.on_try, models, [self.tabs, *models, *views], **quiet).then(
            None, None, None, js='() => window.workbenchPlayground.press("matrix", true)', api_visibility="private"
        )
        self.runs["show"].click(self.on_show, [self.runs["selected"]], [self.tabs, self.train["live"]], **quiet)
        self.runs["retrained"].then(guarded(self.on_flow), None, flow, **quiet)
        self.runs["outcome"].retrained(self.on_retrained, None, [self.train["live"]], **quiet)
        self.runs["deleted"].then(guarded(self.on_flow), None, flow, **quiet)

    def on_open(self, tab: str | None) -> Any:
        """Open the tab that the address named; without one, leave the page where the user may already have gone."""
        return gr.Tabs(selected=tab) if tab in TABS else gr.skip()

    def on_flow(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Show how far each step is, and what to do next."""
        from workbench.runs import list_runs

        draft = load_draft(self.context.home)
        newest = max(list_runs(self.context.home), key=lambda run: run.created, default=None)
        dataset, problem = find_dataset(draft.data, self.context), find_problem(draft, self.context)
        return (
            flow_value(flow_steps(draft, dataset, newest, problem)),
            next_value(next_action(draft, dataset, newest, problem)),
        )

    def on_data(self) -> tuple[Any, Any, Any]:
        """Show the data set in use."""
        current, leaking = describe_current(self.context)
        return current, leaking, gr.Dropdown(choices=stored_choices(self.context))

    def on_runs(self) -> dict[Any, Any]:
        """Show the history, and keep it fresh while the tab is open."""
        return {**list_view(self.context, self.runs, keep=True), self.runs["timer"]: gr.Timer(active=True)}

    def on_models(self, first: str | None, second: str | None, chosen: str | None, wanted: str | None) -> dict[Any, Any]:
        """Show the models to choose from."""
        return choices_view(self.context, self.playground, first, second, chosen, wanted=wanted)

    def on_models_again(self, first: str | None, second: str | None, chosen: str | None, opened: bool) -> Any:
        """Show the models there are by now. A page that is still opening gets them anyway; what is chosen meanwhile must stay."""
        return choices_view(self.context, self.playground, first, second, chosen) if opened else [gr.skip()] * 3

    def on_wanted(self, wanted: str | None) -> dict[Any, Any]:
        """Show what was there before a reload, or the examples of a link."""
        return open_wanted(self.context, self.playground, wanted)

    def on_playground(self) -> Iterator[dict[Any, Any]]:
        """Have the encoder process ready by the time it is asked."""
        yield from start_encoder(self.context, self.playground)

    def on_quick_start(self) -> tuple[Any, ...]:
        """Start a run on the sample data and watch it."""
        run = quick_start(self.context)
        return gr.Tabs(selected="train"), attach(run.run_id, _fresh()), run.run_id, *self.on_flow()

    def on_step(self, event: gr.EventData) -> gr.Tabs:
        """Open the tab of a step of the strip."""
        tab = str(event.tab)
        return gr.Tabs(selected=tab if tab in TABS else TABS[0])

    def on_next(self, event: gr.EventData) -> tuple[Any, Any]:
        """Open the tab of what comes next; the live panel shows the run that it is about."""
        return self.on_step(event), attach(str(event.run), _fresh()) if event.run else gr.skip()

    def on_retrained(self, event: gr.EventData) -> dict[str, Any]:
        """Show the run that was queued in the live panel."""
        return attach(str(event.run_id), _fresh())

    def on_try(self, first: str | None, second: str | None, chosen: str | None, event: gr.EventData) -> dict[Any, Any]:
        """Compare a run with what it started from."""
        updates = choices_view(self.context, self.playground, first, second, chosen, prefer=str(event.run_id))
        return {
            self.tabs: gr.Tabs(selected="playground"),
            self.playground["view"]: "matrix",
            **updates,
            **view_updates(self.playground, "matrix"),
        }

    def on_show(self, run_id: str | None) -> tuple[Any, Any]:
        """Show a run of the history in the live panel."""
        return gr.Tabs(selected="train"), attach(run_id, _fresh())


def _fresh() -> int:
    return time.time_ns() % 10**9


def _remember_tab(name: str) -> str:
    """Return the script that keeps the open tab in the address, so that a reload stays on it."""
    return (
        "() => { const address = new URL(window.location.href); "
        f"address.searchParams.set('tab', '{name}'); window.history.replaceState(window.history.state, '', address); }}"
    )
