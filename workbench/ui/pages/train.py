"""The Train tab: the objective and the settings on the left, the live panel on the right."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from workbench.errors import WorkbenchError
from workbench.recipe import LOSSES, SUGGESTED, WATCH_LIMIT, default_loss, losses_for, parse_watch
from workbench.ui import fields
from workbench.ui.components.live_run import attach, create_live_run
from workbench.ui.components.notice import create_notice, notice
from workbench.ui.context import Context
from workbench.ui.draft import Draft, load_draft, update_draft
from workbench.ui.feedback import guarded, sentence
from workbench.ui.present import find_dataset, plan_words
from workbench.ui.suggestions import differs, find_suggestion, follow_suggestion, suggestion_words, watched

LOSS_INFO = "What the model is rewarded for."
WATCH_INFO = (
    f"Your own sentences, one a line, up to {WATCH_LIMIT}. They train nothing; the live panel shows how alike the model finds them, "
    "before training and at each evaluation."
)
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

TYPING_SCRIPT = """<script>
window.workbenchTyped = new Set();
for (const kind of ["input", "pointerdown"]) {
  document.addEventListener(kind, (event) => {
    if (kind === "pointerdown" && !event.target.closest("[role=option]")) return;
    const field = event.target.closest("[id^='train-'], [id^='loss-']");
    if (field) window.workbenchTyped.add(field.id);
  }, true);
}
</script>"""
"""Remembers which fields of the form the user has set since it was last filled: what is typed wins over what is loaded."""

FORGET_TYPED = "() => { window.workbenchTyped.clear(); return []; }"


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
                label="Name of the run", placeholder="a name is made up when this is empty", elem_id="train-name"
            )
            parts["plan"] = create_notice(elem_id="train-plan")
            # Until the form is filled it shows defaults, which nobody means to start.
            parts["start"] = gr.Button("Start training", variant="primary", size="lg", interactive=False, elem_id="train-start")
            parts["problem"] = create_notice(elem_id="train-problem")
        with gr.Column(scale=3, min_width=320):
            parts["live"] = create_live_run(elem_id="train-live")
    # What the draft holds on its way into the form, and whether it has arrived.
    parts["saved"] = gr.Textbox(visible=False)
    parts["filled"] = gr.Textbox(visible=False)
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


def save_form(context: Context, values: dict[str, Any]) -> Draft:
    """Put the form into the draft, and note which of the suggested settings the user has changed.

    Raises:
        ConfigError: If a value cannot be used; nothing is saved then.
    """
    training = fields.read_training({name: values[name] for name in fields.SHOWN})
    loss = fields.read_loss(values["loss"], {name: values[f"loss_{name}"] for name in fields.LOSS_PARAMETERS})
    watch: tuple[str, ...] | None = parse_watch(values["watch"] or "")
    draft = load_draft(context.home)
    if draft.watch is None and watch == watched(context, draft, find_dataset(draft.data, context)):
        watch = None
    changed = [name for name in SUGGESTED if getattr(training, name) != getattr(draft.training, name)]
    return update_draft(
        context.home,
        training=training,
        touched=tuple(dict.fromkeys([*draft.touched, *changed])),
        loss=loss,
        watch=watch,
        name=(values["name"] or "").strip(),
    )


def load_form(context: Context, parts: dict[str, Any]) -> dict[Any, Any]:
    """Return the updates that hand the draft to the form; settings nobody has touched follow the data set."""
    draft = load_draft(context.home)
    dataset = find_dataset(draft.data, context)
    names = list(losses_for(dataset.kind)) if dataset else list(LOSSES)
    loss = draft.loss
    if dataset and (loss is None or loss.name not in names):
        loss = default_loss(dataset.kind)
    draft = follow_suggestion(context, dataclasses.replace(draft, loss=loss), dataset)
    params = dict(loss.params) if loss else {}
    values = {
        "name": draft.name,
        "watch": "\n".join(watched(context, draft, dataset)),
        "loss": loss.name if loss else None,
        **{f"loss_{name}": params.get(name, parameter.default) for name, parameter in fields.LOSS_PARAMETERS.items()},
        **{name: fields.to_widget(parameter, getattr(draft.training, name)) for name, parameter in fields.SHOWN.items()},
    }
    return {
        parts["saved"]: json.dumps(values),
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
    form = form_components(parts)
    loaded = [parts["saved"], parts["loss"], *(parts[f"loss_{name}"] for name in fields.LOSS_PARAMETERS)]
    merged = listener(guarded(lambda: load_form(context, parts)), None, loaded, js=FORGET_TYPED if forget else None, **QUIET).then(
        None, [parts["saved"], *form], [*form, parts["filled"]], js=_merge_script(form), api_visibility="private"
    )
    merged.then(lambda: gr.Button(interactive=True), None, [parts["start"]], **QUIET)
    merged.then(parts["on_edit"], [parts["filled"], *form], parts["described"], **QUIET)


def _merge_script(form: Sequence[Any]) -> str:
    """Return the script that fills the form: it runs in the browser, so nothing can be typed between look and fill."""
    order = json.dumps([[name, part.elem_id] for name, part in zip(_form_names(), form, strict=True)])
    return (
        "(saved, ...current) => { if (!saved) return [...current, 'yes']; const values = JSON.parse(saved); const typed = window.workbenchTyped; "
        f"const merged = {order}.map(([name, id], index) => typed.has(id) ? current[index] : values[name]); "
        "return [...merged, 'yes']; }"
    )


def _loss_updates(parts: dict[str, Any], name: str | None) -> dict[Any, Any]:
    """Return the updates that show the parameters of a loss at their defaults."""
    entry = None if name is None else LOSSES.get(name)
    own = set() if entry is None else {parameter.name for parameter in entry.parameters}
    updates: dict[Any, Any] = {
        parts[f"loss_{key}"]: gr.Number(visible=key in own, value=parameter.default)
        for key, parameter in fields.LOSS_PARAMETERS.items()
    }
    updates[parts["loss"]] = gr.Dropdown(info=LOSS_INFO if entry is None else entry.help)
    return updates


def describe_plan(context: Context, draft: Draft) -> gr.HTML:
    """Return the update of the sentence on what Start would do, or on what is missing."""
    dataset = find_dataset(draft.data, context)
    try:
        text = plan_words(draft, dataset, context)
    except WorkbenchError as error:
        return notice(error.message, "note" if not draft.data else "warning")
    unread = () if dataset is None else context.not_read(draft.to_recipe())
    return notice(" ".join([text, *unread]), "warning" if unread else "plain")


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


def check_form(filled: str | None, *values: Any) -> list[dict[str, Any]]:
    """Return for each input of Start whether its value can be used, and why not."""
    results = [gr.validate(True, "")]
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


def _wire(context: Context, parts: dict[str, Any]) -> None:
    form = form_components(parts)
    inputs = [parts["filled"], *form]
    suggested = [parts[name] for name in SUGGESTED]
    parts["described"] = [parts["plan"], parts["suggestion"], parts["suggest"]]

    def on_edit(filled: str | None, *values: Any) -> Any:
        if not filled:  # what the other fields show is not yet what the draft holds
            return gr.skip()
        try:
            return describe_draft(context, parts, save_form(context, form_values(values)))
        except WorkbenchError as error:
            return {parts["plan"]: notice(error.message, "warning")}

    def on_loss(filled: str | None, *values: Any) -> dict[Any, Any]:
        found = form_values(values)
        updates = _loss_updates(parts, found["loss"])
        # The widgets still hold the parameters of the loss before.
        found.update({f"loss_{name}": parameter.default for name, parameter in fields.LOSS_PARAMETERS.items()})
        if not filled:
            return updates
        draft = save_form(context, found)
        return {**updates, **_settings_of(follow_suggestion(context, draft, find_dataset(draft.data, context)))}

    def on_suggest() -> dict[Any, Any]:
        draft = update_draft(context.home, touched=())
        return _settings_of(follow_suggestion(context, draft, find_dataset(draft.data, context)))

    def _settings_of(draft: Draft) -> dict[Any, Any]:
        return {**{parts[name]: getattr(draft.training, name) for name in SUGGESTED}, **describe_draft(context, parts, draft)}

    def on_start(filled: str | None, *values: Any) -> dict[Any, Any]:
        try:
            run_id = start_run(context, save_form(context, form_values(values)))
        except Exception as error:
            return {parts["problem"]: notice(sentence(error), "error")}
        return {parts["problem"]: notice(""), parts["live"]: attach(run_id, time.time_ns() % 10**9)}

    parts["on_edit"] = on_edit
    edited = [part for name, part in zip(_form_names(), form, strict=True) if name != "loss"]
    parts["edited"] = gr.on(
        # Gradio does not report what is pasted into a text area that has just been unfolded; leaving it is reported always.
        [*(part.input for part in edited), parts["watch"].blur],
        on_edit,
        inputs,
        parts["described"],
        trigger_mode="always_last",
        **QUIET,
    )
    loss_outputs = [parts["loss"], *suggested, *parts["described"], *(parts[f"loss_{name}"] for name in fields.LOSS_PARAMETERS)]
    parts["objective"] = parts["loss"].input(guarded(on_loss), inputs, loss_outputs, **QUIET)
    parts["suggest"].click(guarded(on_suggest), None, [*suggested, *parts["described"]], **QUIET)
    parts["started"] = parts["start"].click(
        on_start, inputs, [parts["problem"], parts["live"]], validator=check_form, api_visibility="private", show_progress="minimal"
    )
