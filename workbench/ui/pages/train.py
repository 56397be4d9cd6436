"""The Train tab: the objective and the settings on the left, the live panel on the right."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from workbench.errors import WorkbenchError
from workbench.recipe import LOSSES, default_loss, losses_for
from workbench.ui import fields
from workbench.ui.components.live_run import attach, create_live_run
from workbench.ui.components.notice import create_notice, notice
from workbench.ui.context import Context
from workbench.ui.draft import Draft, load_draft, update_draft
from workbench.ui.feedback import guarded, sentence
from workbench.ui.present import find_dataset, plan_words

LOSS_INFO = "What the model is rewarded for."


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
            with gr.Accordion("More settings", open=False, elem_id="train-more"):
                for name, parameter in fields.SHOWN.items():
                    if name not in fields.FRONT:
                        parts[name] = fields.create_field(parameter, getattr(draft.training, name), "train")
            parts["name"] = gr.Textbox(
                label="Name of the run", placeholder="a name is made up when this is empty", elem_id="train-name"
            )
            parts["plan"] = create_notice(elem_id="train-plan")
            parts["start"] = gr.Button("Start training", variant="primary", size="lg", elem_id="train-start")
            parts["problem"] = create_notice(elem_id="train-problem")
        with gr.Column(scale=3, min_width=320):
            parts["live"] = create_live_run(elem_id="train-live")
    _wire(context, parts)
    return parts


def form_components(parts: dict[str, Any]) -> list[Any]:
    """Return the form's inputs, in the order in which `form_values` reads them."""
    return [parts[name] for name in _form_names()]


def form_values(values: Sequence[Any]) -> dict[str, Any]:
    """Return input name -> value."""
    return dict(zip(_form_names(), values, strict=True))


def _form_names() -> list[str]:
    return ["name", "loss", *(f"loss_{name}" for name in fields.LOSS_PARAMETERS), *fields.SHOWN]


def save_form(context: Context, values: dict[str, Any]) -> Draft:
    """Put the form into the draft.

    Raises:
        ConfigError: If a value cannot be used; nothing is saved then.
    """
    training = fields.read_training({name: values[name] for name in fields.SHOWN})
    loss = fields.read_loss(values["loss"], {name: values[f"loss_{name}"] for name in fields.LOSS_PARAMETERS})
    return update_draft(context.home, training=training, loss=loss, name=(values["name"] or "").strip())


def load_form(context: Context, parts: dict[str, Any]) -> dict[Any, Any]:
    """Return the updates that show the draft in the form; `describe_plan`, which may take longer, is left to a second step."""
    draft = load_draft(context.home)
    dataset = find_dataset(draft.data, context)
    names = list(losses_for(dataset.kind)) if dataset else list(LOSSES)
    loss = draft.loss
    if dataset and (loss is None or loss.name not in names):
        loss = default_loss(dataset.kind)
    return {
        parts["name"]: draft.name,
        **_loss_updates(parts, loss.name if loss else None, dict(loss.params) if loss else {}),
        parts["loss"]: gr.Dropdown(choices=names, value=loss.name if loss else None, info=loss.entry.help if loss else LOSS_INFO),
        **{parts[name]: fields.to_widget(parameter, getattr(draft.training, name)) for name, parameter in fields.SHOWN.items()},
    }


def _loss_updates(parts: dict[str, Any], name: str | None, params: dict[str, Any]) -> dict[Any, Any]:
    own = {parameter.name: parameter for parameter in LOSSES[name].parameters} if name in LOSSES else {}
    updates: dict[Any, Any] = {
        parts[f"loss_{key}"]: gr.Number(visible=key in own, value=params.get(key, parameter.default))
        for key, parameter in fields.LOSS_PARAMETERS.items()
    }
    updates[parts["loss"]] = gr.Dropdown(info=LOSSES[name].help if name in LOSSES else LOSS_INFO)
    return updates


def describe_plan(context: Context, draft: Draft) -> gr.HTML:
    """Return the update of the sentence on what Start would do, or on what is missing."""
    dataset = find_dataset(draft.data, context)
    try:
        text = plan_words(draft, dataset, context)
    except WorkbenchError as error:
        return notice(error.message, "note" if not draft.data else "warning")
    return notice(text, "plain")


def start_run(context: Context, draft: Draft) -> str:
    """Queue the draft as a run and return its id.

    Raises:
        WorkbenchError: If it cannot run.
    """
    from workbench.runs import submit

    return str(submit(draft.to_recipe(), context.home).run_id)


def _wire(context: Context, parts: dict[str, Any]) -> None:
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs = form_components(parts)

    def on_edit(*values: Any) -> Any:
        try:
            return describe_plan(context, save_form(context, form_values(values)))
        except WorkbenchError as error:
            return notice(error.message, "warning")

    def on_loss(*values: Any) -> dict[Any, Any]:
        name = form_values(values)["loss"]
        updates = _loss_updates(parts, name, {})
        return {**updates, parts["plan"]: on_edit(*_with_loss_defaults(values))}

    def check(*values: Any) -> list[dict[str, Any]]:
        found = form_values(values)
        results = []
        for name, value in found.items():
            problem = fields.find_problem(name, value) if name in fields.SHOWN else None
            results.append(gr.validate(problem is None, problem or ""))
        return results

    def on_start(*values: Any) -> dict[Any, Any]:
        try:
            run_id = start_run(context, save_form(context, form_values(values)))
        except Exception as error:
            return {parts["problem"]: notice(sentence(error), "error")}
        return {parts["problem"]: notice(""), parts["live"]: attach(run_id, time.time_ns() % 10**9)}

    edited = [parts[name] for name in ("name", *(f"loss_{key}" for key in fields.LOSS_PARAMETERS), *fields.SHOWN)]
    gr.on([part.input for part in edited], on_edit, inputs, [parts["plan"]], trigger_mode="always_last", **quiet)
    loss_outputs = [parts["loss"], parts["plan"], *(parts[f"loss_{name}"] for name in fields.LOSS_PARAMETERS)]
    parts["loss"].input(guarded(on_loss), inputs, loss_outputs, **quiet)
    parts["started"] = parts["start"].click(
        on_start, inputs, [parts["problem"], parts["live"]], validator=check, api_visibility="private", show_progress="minimal"
    )


def _with_loss_defaults(values: Sequence[Any]) -> list[Any]:
    """Return the form's values with every loss parameter at its default: the widgets still hold those of the loss before."""
    found = form_values(values)
    found.update({f"loss_{name}": parameter.default for name, parameter in fields.LOSS_PARAMETERS.items()})
    return list(found.values())
