"""The Runs tab: the history as a table, and one run in full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import InputError, WorkbenchError
from workbench.ui.components.notice import create_notice, notice
from workbench.ui.components.outcome import create_outcome, outcome_value
from workbench.ui.context import Context
from workbench.ui.draft import update_draft
from workbench.ui.feedback import guarded
from workbench.ui.formatting import RUN_HEADERS, RUN_ID_COLUMN, dataset_names, metric_rows, run_details, run_label, run_rows

if TYPE_CHECKING:
    from workbench.runs import Run

LOG_TAIL = 64 * 1024
"""Bytes of the log shown on the page; the whole of it is in the run's folder."""

KEEP_CHOICES = (("keep the best so far", "best"), ("keep the latest", "latest"), ("keep nothing", "none"))
REFRESH_SECONDS = 3.0


def create_runs_page(context: Context) -> dict[str, Any]:
    """Build the tab.

    Args:
        context: The server's context.

    Returns:
        Components by name.
    """
    parts: dict[str, Any] = {}
    parts["empty"] = create_notice(
        "No run yet. Every run you start is listed here and stays until you delete it.", elem_id="runs-empty"
    )
    parts["table"] = gr.Dataframe(
        headers=list(RUN_HEADERS),
        label="Runs",
        interactive=False,
        max_height=340,
        visible=False,
        elem_id="runs-table",
        buttons=[],
        column_widths=["140px", "100px", "120px", "120px", "135px", "75px", "75px", "145px", "190px", "135px", "170px"],
    )
    with gr.Row(equal_height=True):
        # The browser holds which run is selected; the table only helps to choose it.
        parts["selected"] = gr.Dropdown(label="Selected run", choices=[], allow_custom_value=True, scale=4, elem_id="runs-selected")
        parts["refresh"] = gr.Button("Refresh", scale=0, min_width=110, elem_id="runs-refresh", elem_classes=["wb-align-end"])
    with gr.Column(visible=False) as details:
        parts["summary"] = create_notice(elem_id="runs-summary")
        with gr.Row():
            parts["show"] = gr.Button("Show in live panel", elem_id="runs-show", min_width=170, scale=0, size="md")
            parts["again"] = gr.Button("Use these settings again", elem_id="runs-again", min_width=250, scale=0, size="md")
            parts["stop"] = gr.Button("Stop", variant="stop", visible=False, elem_id="runs-stop", min_width=100, scale=0, size="md")
            parts["delete"] = gr.Button("Delete …", elem_id="runs-delete", min_width=100, scale=0, size="md")
        parts["keep"] = gr.Radio(
            label="When it stops", choices=list(KEEP_CHOICES), value="best", visible=False, elem_id="runs-keep"
        )
        with gr.Row(visible=False, elem_classes=["wb-confirm"]) as confirm:
            parts["confirm_text"] = create_notice(elem_id="runs-confirm-text")
            parts["confirm_delete"] = gr.Button("Delete it", variant="stop", scale=0, min_width=120, elem_id="runs-confirm-delete")
            parts["cancel_delete"] = gr.Button("Keep it", scale=0, min_width=120, elem_id="runs-cancel-delete")
        parts["outcome"] = create_outcome(elem_id="runs-outcome")
        parts["metrics"] = gr.Dataframe(
            headers=["Metric on the test part", "Base", "Tuned"],
            interactive=False,
            visible=False,
            buttons=[],
            max_height=320,
            elem_id="runs-metrics",
        )
        with gr.Accordion("Rename", open=False), gr.Row(equal_height=True):
            parts["new_name"] = gr.Textbox(label="Name", elem_id="runs-name", scale=4)
            parts["rename"] = gr.Button("Rename", scale=0, min_width=110, elem_id="runs-rename", elem_classes=["wb-align-end"])
        with gr.Accordion("Recipe: everything this run did, as data", open=False):
            parts["recipe"] = gr.Code(language="json", interactive=False, max_lines=24, elem_id="runs-recipe", show_label=False)
        with gr.Accordion("The same as a Python program", open=False):
            parts["program"] = gr.Code(language="python", interactive=False, max_lines=30, elem_id="runs-program", show_label=False)
        with gr.Accordion("Log", open=False):
            parts["log"] = gr.Textbox(
                interactive=False,
                lines=14,
                max_lines=14,
                elem_id="runs-log",
                show_label=False,
                buttons=["copy"],
                elem_classes=["wb-mono"],
            )
    parts["timer"] = gr.Timer(REFRESH_SECONDS, active=False)
    parts["details"], parts["confirm"] = details, confirm
    _wire(context, parts)
    return parts


def list_view(context: Context, parts: dict[str, Any], selected: str | None = None, keep: bool = False) -> dict[Any, Any]:
    """Return the updates that show the history.

    Args:
        context: The server's context.
        parts: The page's components.
        selected: The run that is selected then, None for none.
        keep: Whether to leave alone what is selected; it may have changed since the browser asked.
    """
    from workbench.runs import list_runs

    runs = list_runs(context.home)
    ids = {run.run_id for run in runs}
    chosen: dict[str, Any] = {} if keep else {"value": selected if selected in ids else None}
    return {
        parts["empty"]: notice(
            "" if runs else "No run yet. Every run you start is listed here and stays until you delete it.",
        ),
        parts["table"]: gr.Dataframe(value=run_rows(runs, dataset_names(context)), visible=bool(runs)),
        parts["selected"]: gr.Dropdown(choices=[(run_label(run), run.run_id) for run in runs], visible=bool(runs), **chosen),
        parts["refresh"]: gr.Button(visible=bool(runs)),
    }


def details_view(context: Context, parts: dict[str, Any], run_id: str | None) -> dict[Any, Any]:
    """Return the updates that show one run, or hide the details where there is none."""
    from workbench.runs import get_run

    if not run_id:
        return {parts["details"]: gr.Column(visible=False), parts["outcome"]: gr.HTML(value=outcome_value(None))}
    run = get_run(run_id, context.home)
    metrics = metric_rows(run.metrics or {})
    return {
        parts["details"]: gr.Column(visible=True),
        parts["summary"]: notice(run_details(run, dataset_names(context)), "error" if run.status == "failed" else "plain"),
        parts["stop"]: gr.Button(visible=run.active),
        parts["keep"]: gr.Radio(visible=run.active),
        parts["delete"]: gr.Button(interactive=not run.active),
        parts["confirm"]: gr.Row(visible=False),
        parts["outcome"]: gr.HTML(value=outcome_value(run_id, run.status)),
        parts["metrics"]: gr.Dataframe(value=metrics, visible=bool(metrics)),
        parts["new_name"]: run.name,
        parts["recipe"]: json.dumps(run.recipe().to_dict(), indent=2, ensure_ascii=False),
        parts["program"]: _program(run, context.home),
        parts["log"]: read_log(run),
    }


def read_log(run: Run) -> str:
    """Return the end of a run's log."""
    path = run.folder / "log.txt"
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            start = max(0, file.tell() - LOG_TAIL)
            file.seek(start)
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return text if start == 0 else text.split("\n", 1)[-1]


def _program(run: Run, home: Path) -> str:
    from workbench.runs import program_of_run

    try:
        return str(program_of_run(run.run_id, home))
    except WorkbenchError as error:
        return f"# {error.message}"


def _detail_outputs(parts: dict[str, Any]) -> list[Any]:
    names = (
        "details",
        "summary",
        "stop",
        "keep",
        "delete",
        "confirm",
        "outcome",
        "metrics",
        "new_name",
        "recipe",
        "program",
        "log",
    )
    return [parts[name] for name in names]


def list_outputs(parts: dict[str, Any]) -> list[Any]:
    """Return the components that `list_view` updates."""
    return [parts[name] for name in ("empty", "table", "selected", "refresh")]


class _Handlers:
    """What the buttons of the tab do."""

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self.context = context
        self.parts = parts

    def on_row(self, event: gr.SelectData) -> dict[Any, Any]:
        """Select the run of the row that was pressed."""
        run_id = str(event.row_value[RUN_ID_COLUMN])
        return {self.parts["selected"]: run_id, **details_view(self.context, self.parts, run_id)}

    def on_selected(self, run_id: str | None) -> dict[Any, Any]:
        """Show the run that was chosen."""
        return details_view(self.context, self.parts, run_id)

    def on_linked(self, event: gr.EventData) -> dict[Any, Any]:
        """Show a run that is linked to the one shown."""
        run_id = str(event.run_id)
        return {**list_view(self.context, self.parts, run_id), **details_view(self.context, self.parts, run_id)}

    def on_retrained(self) -> dict[Any, Any]:
        """List the run that was just queued; the one whose errors are on show stays open."""
        return list_view(self.context, self.parts, keep=True)

    def on_refresh(self) -> dict[Any, Any]:
        """Show what has changed since."""
        return list_view(self.context, self.parts, keep=True)

    def on_stop(self, run_id: str, keep: str) -> dict[Any, Any]:
        """Ask the run to stop."""
        from workbench.runs import request_stop

        run = request_stop(run_id, self.context.home, keep=keep)
        return {**list_view(self.context, self.parts, run_id), **details_view(self.context, self.parts, run.run_id)}

    def on_rename(self, run_id: str, name: str) -> dict[Any, Any]:
        """Give the run another name."""
        from workbench.runs import rename_run

        if not (name or "").strip():
            raise InputError("A run needs a name; type one first.", field="name")
        rename_run(run_id, self.context.home, name.strip())
        return {**list_view(self.context, self.parts, run_id), **details_view(self.context, self.parts, run_id)}

    def on_delete(self, run_id: str) -> dict[Any, Any]:
        """Ask before deleting."""
        from workbench.runs import get_run

        run = get_run(run_id, self.context.home)
        text = f"Delete {run.name or run.run_id}, its model, metrics and log? This cannot be undone."
        return {self.parts["confirm"]: gr.Row(visible=True), self.parts["confirm_text"]: notice(text, "warning")}

    def on_confirm(self, run_id: str) -> dict[Any, Any]:
        """Delete the run."""
        from workbench.runs import delete_run

        delete_run(run_id, self.context.home)
        return {**list_view(self.context, self.parts), **details_view(self.context, self.parts, None)}

    def on_again(self, run_id: str) -> dict[Any, Any]:
        """Put the run's recipe into the draft."""
        from workbench.recipe import ArchitectureSpec
        from workbench.runs import get_run

        recipe = get_run(run_id, self.context.home).recipe()
        update_draft(
            self.context.home,
            base=recipe.base,
            architecture=recipe.architecture or ArchitectureSpec.default(),
            data=recipe.data,
            columns={},  # a stored data set knows its roles
            score_scale=None,
            validation_data=recipe.validation_data,
            test_data=recipe.test_data,
            loss=recipe.loss,
            training=recipe.training,
            name="",
            allow_leaking_split=recipe.allow_leaking_split,
            watch=recipe.watch,
        )
        return {
            self.parts["summary"]: notice(
                "Build, Data and Train now hold the settings of this run; change what you like and start.", "good"
            )
        }


def _wire(context: Context, parts: dict[str, Any]) -> None:
    handlers = _Handlers(context, parts)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    details, listed = _detail_outputs(parts), list_outputs(parts)
    selected = parts["selected"]
    parts["table"].select(guarded(handlers.on_row), None, [selected, *details], **quiet)
    selected.input(guarded(handlers.on_selected), [selected], details, **quiet)
    parts["refresh"].click(guarded(handlers.on_refresh), None, listed, **quiet)
    parts["timer"].tick(guarded(handlers.on_refresh), None, listed, **quiet)
    parts["outcome"].open(guarded(handlers.on_linked), None, [*listed, *details], **quiet)
    parts["retrained"] = parts["outcome"].retrained(guarded(handlers.on_retrained), None, listed, **quiet)
    parts["stop"].click(guarded(handlers.on_stop), [selected, parts["keep"]], [*listed, *details], **quiet)
    parts["rename"].click(guarded(handlers.on_rename), [selected, parts["new_name"]], [*listed, *details], **quiet)
    parts["delete"].click(guarded(handlers.on_delete), [selected], [parts["confirm"], parts["confirm_text"]], **quiet)
    parts["cancel_delete"].click(lambda: gr.Row(visible=False), None, [parts["confirm"]], **quiet)
    parts["deleted"] = parts["confirm_delete"].click(guarded(handlers.on_confirm), [selected], [*listed, *details], **quiet)
    parts["copied"] = parts["again"].click(guarded(handlers.on_again), [selected], [parts["summary"]], **quiet)
