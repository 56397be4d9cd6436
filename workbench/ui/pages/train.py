"""The Train tab: the objective and the settings on the left, the live panel on the right."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from workbench.errors import ConfigError, WorkbenchError
from workbench.recipe import LOSSES, WATCH_LIMIT, losses_for
from workbench.ui import fields
from workbench.ui.components.layer_stack import read_document
from workbench.ui.components.live_run import attach, create_live_run
from workbench.ui.components.notice import Tone, create_notice, notice
from workbench.ui.context import Context
from workbench.ui.draft import Draft, load_draft, update_draft
from workbench.ui.feedback import guarded, sentence
from workbench.ui.formatting import find_dataset, format_plan
from workbench.ui.pages.build import command_line
from workbench.ui.suggestions import differs, find_suggestion, follow_suggestion, suggestion_words, watched
from workbench.ui.train_form import Taken, as_shown, take_form

LOSS_INFO = "What the model is rewarded for."
WATCH_INFO = (
    f"Your own sentences, one per line, up to {WATCH_LIMIT}. They train nothing; the live panel shows how similar the model finds them, "
    "before training and at each evaluation."
)
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

TYPING_SCRIPT = """<script>
window.workbenchForm = {
  typed: new Map(),
  filled: 0,
  // What the form shows once a draft that has come is in it: fields that were set after the draft was asked for stay.
  merge(order, saved, current) {
    const found = saved ? JSON.parse(saved) : null;
    if (!found || found.number === this.filled) return current;
    const later = (id) => (this.typed.get(id) ?? -Infinity) > found.asked;
    return order.map(([name, id], index) => (later(id) ? current[index] : found.values[name]));
  },
  fill(order, saved, current) {
    const merged = this.merge(order, saved, current);
    if (saved) this.filled = JSON.parse(saved).number;
    return merged;
  },
};
for (const kind of ["input", "pointerdown"]) {
  document.addEventListener(kind, (event) => {
    if (kind === "pointerdown" && !event.target.closest("[role=option]")) return;
    const field = event.target.closest("[id^='train-'], [id^='loss-']");
    if (field) window.workbenchForm.typed.set(field.id, performance.now());
  }, true);
}
</script>"""
"""Remembers when each field of the form was last set by the user: what is typed wins over what was asked for before.

It runs in the browser, so nothing can be typed between look and fill.
"""


def create_train_page(context: Context) -> dict[str, Any]:
    """Build the tab.

    Args:
        context: The server's context.

    Returns:
        Components by name; `live` is the live panel.
    """
    draft = Draft()
    parts: dict[str, Any] = {}
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            parts["loss"] = gr.Dropdown(label="Objective", choices=list(LOSSES), value=None, elem_id="train-loss", info=LOSS_INFO)
            for name, parameter in fields.LOSS_PARAMETERS.items():
                parts[f"loss_{name}"] = fields.create_field(parameter, parameter.default, "loss", visible=False)
            with gr.Row(elem_classes=["wb-even"]):
                for name in fields.FRONT[:2]:
                    parts[name] = fields.create_field(fields.SHOWN[name], getattr(draft.training, name), "train")
            for name in fields.FRONT[2:]:
                parts[name] = fields.create_field(fields.SHOWN[name], getattr(draft.training, name), "train")
            parts["suggestion"] = create_notice(elem_id="train-suggestion")
            parts["suggest"] = gr.Button("Use the suggested settings", size="sm", visible=False, elem_id="train-suggest")
            with gr.Accordion("More settings", open=False, elem_id="train-more"):
                for name, parameter in fields.SHOWN.items():
                    if name not in fields.FRONT:
                        parts[name] = fields.create_field(parameter, getattr(draft.training, name), "train")
            with gr.Accordion("Watch-list: your own sentences, live", open=False, elem_id="train-watch-list"):
                parts["watch"] = gr.Textbox(
                    label="Sentences to watch",
                    info=WATCH_INFO,
                    placeholder="cancel my contract\nI want to end my subscription\nwhere is my parcel?",
                    lines=4,
                    max_lines=WATCH_LIMIT,
                    elem_id="train-watch",
                )
            parts["name"] = gr.Textbox(
                label="Name of the run", placeholder="made of the data and the base when this is empty", elem_id="train-name"
            )
            parts["plan"] = create_notice(elem_id="train-plan")
            # Until the form is filled it shows defaults, which no one means to start.
            parts["start"] = gr.Button("Start training", variant="primary", size="lg", interactive=False, elem_id="train-start")
            parts["problem"] = create_notice(elem_id="train-problem")
        with gr.Column(scale=3, min_width=320):
            parts["live"] = create_live_run(elem_id="train-live")
    # When the page asks, and what the draft holds on its way into the form.
    parts["asked"] = gr.Number(visible=False, value=-1)
    parts["saved"] = gr.Textbox(visible=False)
    # The run that Start has queued; empty where it queued none.
    parts["begun"] = gr.Textbox(visible=False)
    _wire(context, parts)
    return parts


def form_components(parts: dict[str, Any]) -> list[Any]:
    """Return the form's inputs, in the order in which `form_values` reads them."""
    return [parts[name] for name in _form_names()]


def form_values(values: Sequence[Any]) -> dict[str, Any]:
    """Return input name -> value."""
    return dict(zip(_form_names(), values, strict=True))


def _form_names() -> list[str]:
    return ["name", "watch", "loss", *(f"loss_{name}" for name in fields.LOSS_PARAMETERS), *fields.SHOWN]


def load_form(context: Context, parts: dict[str, Any], asked: float) -> dict[Any, Any]:
    """Return the updates that show the draft; settings no one has touched follow the data set.

    Args:
        context: The server's context.
        parts: The tab's components.
        asked: When the page asked for it, on the page's clock; fields that the user set later stay.
    """
    draft = load_draft(context.home)
    draft = follow_suggestion(context, draft, find_dataset(draft.data, context))
    return {**fill_updates(context, parts, draft, asked), **describe_draft(context, parts, draft)}


def fill_updates(context: Context, parts: dict[str, Any], draft: Draft, asked: float) -> dict[Any, Any]:
    """Return the updates that hand a draft to the form, where `merge_form` takes it up."""
    dataset = find_dataset(draft.data, context)
    shown = as_shown(draft, context)
    loss, names = shown.loss, list(losses_for(dataset.kind)) if dataset else list(LOSSES)
    params = dict(loss.params) if loss else {}
    values = {
        "name": shown.name,
        "watch": "\n".join(shown.watch or ()),
        "loss": loss.name if loss else None,
        **{f"loss_{name}": params.get(name, parameter.default) for name, parameter in fields.LOSS_PARAMETERS.items()},
        **{name: fields.to_widget(parameter, getattr(shown.training, name)) for name, parameter in fields.SHOWN.items()},
    }
    return {
        parts["saved"]: json.dumps({"asked": asked, "number": time.time_ns(), "values": values}),
        parts["loss"]: gr.Dropdown(choices=names, info=loss.entry.help if loss else LOSS_INFO),
        **{parts[f"loss_{name}"]: gr.Number(visible=name in params) for name in fields.LOSS_PARAMETERS},
    }


def fill_form(context: Context, parts: dict[str, Any], listener: Callable[..., Any], *, forget: bool) -> None:
    """Show the draft in the form when an event happens; what the user types meanwhile stays.

    Args:
        context: The server's context.
        parts: The tab's components.
        listener: Registers what happens, such as `button.click`.
        forget: Whether what was typed before the event gives way to the draft.
    """
    loaded = listener(
        guarded(lambda asked: load_form(context, parts, asked)),
        [parts["asked"]],
        [*filled_outputs(parts), *parts["described"]],
        js="(asked) => [performance.now()]" if forget else None,
        **QUIET,
    )
    filled = merge_form(parts, loaded)
    filled.then(lambda: gr.Button(interactive=True), None, [parts["start"]], **QUIET)
    # What was typed before the form was filled is in it, but not yet in the draft.
    merge_form(parts, filled.then(parts["on_edit"], form_inputs(parts), parts["answered"], js=ask_script(parts), **QUIET))


def filled_outputs(parts: dict[str, Any]) -> list[Any]:
    """Return the components that `fill_updates` updates."""
    return [parts["saved"], parts["loss"], *(parts[f"loss_{name}"] for name in fields.LOSS_PARAMETERS)]


def form_inputs(parts: dict[str, Any]) -> list[Any]:
    """Return what the handlers of the form are handed: when they were asked, the plan, the draft on its way, and the form."""
    return [parts["asked"], parts["plan"], parts["saved"], *form_components(parts)]


def ask_script(parts: dict[str, Any]) -> str:
    """Return the script for events with `form_inputs`.

    It notes when it was asked. A plan comes before the form shows its draft: what is sent with a plan is what the form is about to show.
    """
    return (
        "(asked, plan, saved, ...current) => "
        f"[performance.now(), plan, saved, ...window.workbenchForm.merge({_field_order(parts)}, saved, current)]"
    )


def merge_form(parts: dict[str, Any], event: Any) -> Any:
    """Let the form show, after an event, the draft that it may have brought."""
    form = form_components(parts)
    script = f"(saved, ...current) => window.workbenchForm.fill({_field_order(parts)}, saved, current)"
    return event.then(None, [parts["saved"], *form], form, js=script, api_visibility="private")


def reach_run(parts: dict[str, Any], event: Any) -> None:
    """Bring the head of the live panel into sight after an event that may have queued a run."""
    script = "(run) => { if (run) window.workbenchReach('train-live-head', { run, lazy: true }); }"
    event.then(None, [parts["begun"]], None, js=script, api_visibility="private")


def _field_order(parts: dict[str, Any]) -> str:
    """Return name and element id of each field of the form, as a script reads it."""
    return json.dumps([[name, part.elem_id] for name, part in zip(_form_names(), form_components(parts), strict=True)])


def describe_plan(context: Context, draft: Draft) -> gr.HTML:
    """Return the update of the sentence on what Start would do, or on what is missing; it keeps the draft that it speaks of."""
    dataset = find_dataset(draft.data, context)
    try:
        text = format_plan(draft, dataset, context)
    except WorkbenchError as error:
        return notice(error.message, "note" if not draft.data else "warning", draft.to_dict())
    unread = () if dataset is None else context.not_read(draft.to_recipe())
    return notice(" ".join([text, *unread]), "warning" if unread else "plain", draft.to_dict())


def planned_draft(plan: Any) -> Draft | None:
    """Return the draft that a plan speaks of, None where there is no plan yet."""
    basis = plan.get("basis") if isinstance(plan, Mapping) else None
    try:
        return Draft.from_dict(basis) if isinstance(basis, Mapping) else None
    except (TypeError, ValueError, AttributeError, WorkbenchError):  # a page of another version of the workbench
        return None


def describe_draft(context: Context, parts: dict[str, Any], draft: Draft) -> dict[Any, Any]:
    """Return the updates of the plan and of what the data suggest."""
    suggestion = find_suggestion(context, draft, find_dataset(draft.data, context))
    try:
        encoder = context.describe_base(draft.base)
    except WorkbenchError:
        encoder = None
    return {
        parts["plan"]: describe_plan(context, draft),
        parts["suggestion"]: notice(suggestion_words(suggestion, draft, encoder), "plain"),
        parts["suggest"]: gr.Button(visible=differs(suggestion, draft)),
    }


def check_form(asked: float, plan: Any, saved: str | None, *values: Any) -> list[dict[str, Any]]:
    """Return for each input of Start whether its value can be used, and why not."""
    results = [gr.validate(True, "")] * 3
    for name, value in form_values(values).items():
        problem = fields.find_problem(name, value) if name in fields.SHOWN else None
        results.append(gr.validate(problem is None, problem or ""))
    return results


def start_run(context: Context, draft: Draft) -> str:
    """Queue the draft as a run and return its id.

    Raises:
        WorkbenchError: If it cannot run.
    """
    from workbench.runs import submit

    watch = watched(context, draft, find_dataset(draft.data, context))
    return str(submit(dataclasses.replace(draft, watch=watch).to_recipe(), context.home).run_id)


class _Handlers:
    """What happens when something on the tab is used. Each is handed `form_inputs`."""

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self.context = context
        self.parts = parts

    def on_edit(self, asked: float, plan: Any, saved: str | None, *values: Any) -> Any:
        """Save what the user has changed in the form."""
        return self._take(planned_draft(plan), asked, plan, values)

    def on_select(self, stack: Any, asked: float, plan: Any, saved: str | None, *values: Any) -> Any:
        """Show the draft again; what is in the form and is not saved yet wins."""
        planned, draft = planned_draft(plan), load_draft(self.context.home)
        if planned is not None and command_line(draft.base, draft.architecture) == read_document(stack).saved:
            # The Build tab of this very page shows the change.
            planned = dataclasses.replace(planned, base=draft.base, architecture=draft.architecture)
        return self._take(planned, asked, plan, values)

    def _take(self, planned: Draft | None, asked: float, plan: Any, values: Sequence[Any]) -> Any:
        if planned is None:  # what the other fields show is not yet what the draft holds
            return gr.skip()
        try:
            return self._show(take_form(self.context, planned, form_values(values)), asked)
        except WorkbenchError as error:
            return {self.parts["plan"]: notice(error.message, "warning", plan["basis"])}

    def on_suggest(self, asked: float, plan: Any, saved: str | None, *values: Any) -> Any:
        """Take every suggested setting."""
        planned = planned_draft(plan)
        if planned is None:
            return gr.skip()
        taken = take_form(self.context, planned, form_values(values))
        draft = update_draft(self.context.home, touched=())
        draft = follow_suggestion(self.context, draft, find_dataset(draft.data, self.context))
        return self._show(dataclasses.replace(taken, draft=draft, fits=False), asked)

    def on_start(self, asked: float, plan: Any, saved: str | None, *values: Any) -> dict[Any, Any]:
        """Train what the page shows, or say what has come in between."""
        try:
            planned = planned_draft(plan)
            if planned is None:
                raise ConfigError("This page does not show the draft yet; reload it, read the plan and start again.")
            taken = take_form(self.context, planned, form_values(values), follow=False)
            if taken.elsewhere:
                words = f"Nothing was started. {_elsewhere_words(taken)} Start again to train that."
                return {**self._show(taken, asked, words, "error"), self.parts["begun"]: ""}
            run_id = start_run(self.context, taken.draft)
        except Exception as error:
            return {self.parts["problem"]: notice(sentence(error), "error"), self.parts["begun"]: ""}
        shown = {} if taken.fits else fill_updates(self.context, self.parts, taken.draft, asked)
        return {
            **shown,
            **describe_draft(self.context, self.parts, taken.draft),
            self.parts["problem"]: notice(""),
            self.parts["live"]: attach(run_id, time.time_ns() % 10**9),
            self.parts["begun"]: run_id,
        }

    def _show(self, taken: Taken, asked: float, words: str = "", tone: Tone = "note") -> dict[Any, Any]:
        """Return the updates that show what came of a form, with a sentence on what others have changed."""
        words = words or (_elsewhere_words(taken) if taken.elsewhere else "")
        filled = {} if taken.fits else fill_updates(self.context, self.parts, taken.draft, asked)
        return {**filled, **describe_draft(self.context, self.parts, taken.draft), self.parts["problem"]: notice(words, tone)}


def _elsewhere_words(taken: Taken) -> str:
    return f"Changed since this plan was made: {'; '.join(taken.elsewhere)}. The page shows it now."


def _wire(context: Context, parts: dict[str, Any]) -> None:
    handlers = _Handlers(context, parts)
    form = form_components(parts)
    parts["described"] = [parts["plan"], parts["suggestion"], parts["suggest"]]
    parts["answered"] = [*parts["described"], parts["problem"], *filled_outputs(parts)]
    parts["on_edit"], parts["on_select"] = handlers.on_edit, handlers.on_select
    parts["edited"] = gr.on(
        # Gradio does not report what is pasted into a text area that has just been unfolded; leaving it is reported always.
        [*(part.input for part in form), parts["watch"].blur],
        handlers.on_edit,
        form_inputs(parts),
        parts["answered"],
        js=ask_script(parts),
        trigger_mode="always_last",
        **QUIET,
    )
    suggested = parts["suggest"].click(
        guarded(handlers.on_suggest), form_inputs(parts), parts["answered"], js=ask_script(parts), **QUIET
    )
    parts["started"] = parts["start"].click(
        handlers.on_start,
        form_inputs(parts),
        [*parts["answered"], parts["live"], parts["begun"]],
        js=ask_script(parts),
        validator=check_form,
        api_visibility="private",
        show_progress="minimal",
    )
    for event in (parts["edited"], suggested, parts["started"]):
        merge_form(parts, event)
    reach_run(parts, parts["started"])
