"""The Data tab: a file, what its columns mean, what is wrong with it, and how it is split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import DataError, WorkbenchError
from workbench.ui.components.notice import create_notice, notice
from workbench.ui.context import Context
from workbench.ui.dataset_form import (
    ROLE_WORDS,
    SCALE_CHOICES,
    SHAPE_WORDS,
    SHAPES,
    SLOTS,
    fitting_loss,
    mapping_of,
    scale_of,
    stored_choices,
    use_dataset,
)
from workbench.ui.draft import Draft, load_draft, update_draft
from workbench.ui.feedback import guarded, sentence
from workbench.ui.formatting import (
    ISSUE_HEADERS,
    column_widths,
    find_dataset,
    format_dataset,
    issue_rows,
    preview_rows,
    split_settings,
)
from workbench.ui.uploads import SAMPLE, SAMPLE_FILE, SAMPLE_TEST_FILE, SUFFIXES, store_upload, upload_path

if TYPE_CHECKING:
    from workbench.data import DataReport

FORMATS = """
#### What a file looks like
One example per row, in **CSV**, **TSV** or **JSONL**. Any column names will do; you can say below which column is which.

| your rows hold | columns | learns |
|---|---|---|
| two texts and how similar they are | `sentence1` `sentence2` `score` | the order of the scores |
| two texts and match or no match | `sentence1` `sentence2` `label` | to tell matches apart |
| two texts that belong together | `anchor` `positive` | to find the partner |
| the same, and a wrong answer | `anchor` `positive` `negative` | to prefer the right one |
"""


def create_data_page(context: Context) -> dict[str, gr.components.Component]:
    """Build the tab.

    Args:
        context: The server's context.

    Returns:
        Components by name; `used` changes whenever the draft's data set did.
    """
    parts: dict[str, gr.components.Component] = {}
    parts["current"] = create_notice(elem_id="data-current")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            parts["file"] = gr.File(
                label="Training data", file_types=list(SUFFIXES), type="filepath", height=170, elem_id="data-file"
            )
            parts["sample"] = gr.Button("Use the sample data", elem_id="data-sample")
            with gr.Accordion("Held-out test file (optional)", open=False):
                gr.Markdown(
                    "Rows that judge the model and are never trained on. Without one, a part of the training data is held out."
                )
                parts["test_file"] = gr.File(
                    label="Test data", file_types=list(SUFFIXES), type="filepath", height=120, elem_id="data-test-file"
                )
                parts["test_note"] = create_notice(elem_id="data-test-note")
            with gr.Accordion("Your data sets", open=False):
                parts["stored"] = gr.Dropdown(label="Data set", choices=[], allow_custom_value=True, elem_id="data-stored")
                with gr.Row():
                    parts["use_stored"] = gr.Button("Use", elem_id="data-use-stored")
                    parts["delete_stored"] = gr.Button("Delete", elem_id="data-delete-stored")
        with gr.Column(scale=4, min_width=300):
            parts["help"] = gr.Markdown(FORMATS, elem_id="data-formats", container=True)
            parts["summary"] = create_notice(elem_id="data-summary")
            with gr.Column(visible=False) as review:
                with gr.Row():
                    parts["shape"] = gr.Dropdown(
                        label="What a row holds",
                        choices=[(SHAPE_WORDS.get(key, key), key) for key in SHAPES],
                        elem_id="data-kind",
                        min_width=240,
                    )
                    parts["scale"] = gr.Dropdown(
                        label="Score scale", choices=list(SCALE_CHOICES), value="auto", elem_id="data-scale", min_width=140
                    )
                with gr.Row(visible=False) as custom:
                    parts["low"] = gr.Number(label="Lowest score", value=0, elem_id="data-scale-low", min_width=120)
                    parts["high"] = gr.Number(label="Highest score", value=10, elem_id="data-scale-high", min_width=120)
                with gr.Row():
                    for slot in range(SLOTS):
                        parts[f"role{slot}"] = gr.Dropdown(
                            choices=[], allow_custom_value=True, elem_id=f"data-role-{slot + 1}", min_width=140
                        )
                with gr.Row():
                    parts["use"] = gr.Button("Use this data set", variant="primary", elem_id="data-use")
    with gr.Column(visible=False) as tables:
        parts["issues"] = gr.Dataframe(
            headers=list(ISSUE_HEADERS),
            label="Checks",
            interactive=False,
            wrap=True,
            max_height=260,
            elem_id="data-issues",
            column_widths=["12%", "58%", "10%", "20%"],
            buttons=[],
        )
        parts["preview"] = gr.Dataframe(
            label="First rows", interactive=False, wrap=True, max_height=420, elem_id="data-preview", buttons=[]
        )
    parts["allow_leaking"] = gr.Checkbox(
        label="Use a random split although sentences occur in both parts (the run then gets no verdict)",
        visible=False,
        elem_id="data-allow-leaking",
    )
    # Tokens of uploads are held by the browser: the server forgets its sessions when it restarts.
    parts["token"] = gr.Textbox(value="", visible=False)
    parts["test_token"] = gr.Textbox(value="", visible=False)
    parts["used"] = gr.Number(visible=False, value=0)
    parts["review"], parts["custom"], parts["tables"] = review, custom, tables
    _wire(context, parts)
    return parts


def _view(report: DataReport, keep_shape: str | None = None) -> dict[str, Any]:
    """Return the updates that show a report, by component name."""
    shape = keep_shape or next((key for key, roles in SHAPES.items() if set(roles) == set(report.roles)), next(iter(SHAPES)))
    roles = SHAPES[shape]
    has_score = "score" in roles
    headers, rows = preview_rows(report)
    issues = issue_rows(report.issues)
    view: dict[str, Any] = {
        "summary": notice(report.summary, "good" if report.usable else "error"),
        "help": gr.Markdown(visible=False),
        "review": gr.Column(visible=True),
        "tables": gr.Column(visible=True),
        "shape": shape,
        "scale": gr.Dropdown(visible=has_score),
        "issues": gr.Dataframe(value=issues, visible=bool(issues)),
        "preview": gr.Dataframe(
            value={"headers": headers, "data": rows}, column_widths=column_widths(headers, rows), visible=bool(rows)
        ),
        "use": gr.Button(interactive=report.usable),
    }
    chosen = [report.roles.get(role) for role in roles]
    view.update(_role_updates(shape, report.columns, chosen))
    return view


def _role_updates(shape: str, columns: Sequence[str], chosen: Sequence[str | None]) -> dict[str, Any]:
    roles = SHAPES[shape]
    shown = {
        f"role{slot}": gr.Dropdown(label=ROLE_WORDS[role], choices=list(columns), value=value, visible=True)
        for slot, (role, value) in enumerate(zip(roles, chosen, strict=True))
    }
    return {**shown, **{f"role{slot}": gr.Dropdown(visible=False, value=None) for slot in range(len(roles), SLOTS)}}


def _failed(error: Exception) -> dict[str, Any]:
    """Return the updates that show that a file cannot be used at all."""
    return {"summary": notice(sentence(error), "error"), "use": gr.Button(interactive=False)}


def describe_current(context: Context, draft: Draft | None = None) -> tuple[gr.HTML, gr.Checkbox]:
    """Return the updates of the line on the data set in use, and of the question about a leaking split."""
    draft = draft or load_draft(context.home)
    dataset = find_dataset(draft.data, context)
    if dataset is None:
        return notice("No data set is in use yet. Upload a file, or try the sample data."), gr.Checkbox(visible=False)
    text = f"In use: {format_dataset(dataset)}."
    test = find_dataset(draft.test_data, context)
    if test is not None:
        text += f" Tested on {format_dataset(test)}."
    try:
        split = context.preview_split(dataset.ref, split_settings(draft))
    except WorkbenchError as error:
        return notice(f"{text} {error.message}", "warning"), gr.Checkbox(visible=True, value=draft.allow_leaking_split)
    # With a file of its own for the verdict, a sentence on three parts would speak of one that is empty.
    parts = f"{split.train:,} rows to train, {split.validation:,} to pick the best step." if test is not None else split.sentence
    return (
        notice(f"{text} {parts}", "warning" if split.leaking else "good"),
        gr.Checkbox(visible=split.leaking, value=draft.allow_leaking_split),
    )


class _Handlers:
    """What the controls of the tab do. Each returns updates by component."""

    def __init__(self, context: Context, parts: dict[str, Any]) -> None:
        self.context = context
        self.home = context.home
        self.parts = parts

    def updates(self, view: Mapping[str, Any]) -> dict[Any, Any]:
        """Return updates by component for updates by name."""
        return {self.parts[name]: update for name, update in view.items()}

    def inspect(self, token: str, columns: Mapping[str, str] | None = None, scale: tuple[float, float] | None = None) -> DataReport:
        """Return the report on an upload."""
        from workbench.data import inspect_file

        return inspect_file(upload_path(token, self.home), columns=columns, score_scale=scale)

    def on_upload(self, path: str | None) -> dict[Any, Any]:
        """Keep the file under the home and show what is in it."""
        if not path:
            return self.updates({"token": ""})
        try:
            token = store_upload(path, self.home)
            return self.updates({"token": token, "scale": gr.Dropdown(value="auto"), **_view(self.inspect(token))})
        except Exception as error:
            return self.updates({"token": "", **_failed(error)})

    def on_sample(self) -> dict[Any, Any]:
        """Show the data set that ships with the workbench."""
        try:
            if not SAMPLE_FILE.exists():
                raise DataError(f"The sample data is not beside the workbench (`{SAMPLE_FILE.name}`); upload a file instead.")
            has_test = SAMPLE_TEST_FILE.exists()
            note = f"{SAMPLE_TEST_FILE.name}, which comes with the sample data, judges the model." if has_test else ""
            tokens = {"token": SAMPLE, "test_token": SAMPLE if has_test else "", "test_note": notice(note, "note")}
            return self.updates({**tokens, **_view(self.inspect(SAMPLE))})
        except Exception as error:
            return self.updates(_failed(error))

    def on_shape(self, token: str, shape: str, *columns: str | None) -> dict[Any, Any]:
        """Ask for the columns of another set of roles; those already chosen stay at their place."""
        if not token:
            return {}
        try:
            report = self.inspect(token)
            roles = SHAPES[shape]
            chosen = [report.roles.get(role) or _known(report, column) for role, column in zip(roles, columns, strict=False)]
            mapping = mapping_of(shape, chosen)
            if mapping is not None and len(set(mapping.values())) == len(mapping):
                return self.updates(_view(self.inspect(token, mapping), shape))
            view = {**_view(report, shape), **_role_updates(shape, report.columns, chosen), **_unmapped()}
            return self.updates(view)
        except Exception as error:
            return self.updates(_failed(error))

    def on_mapping(
        self, token: str, shape: str, scale: str, low: float | None, high: float | None, *columns: str | None
    ) -> dict[Any, Any]:
        """Check the file again under the columns and the score range that were chosen."""
        if not token:
            return {}
        try:
            mapping = mapping_of(shape, columns)
            if mapping is None:
                return self.updates(_unmapped())
            report = self.inspect(token, mapping, scale_of(scale, low, high) if "score" in mapping else None)
            # What the user has just chosen stays as it is.
            view = {
                name: update for name, update in _view(report, shape).items() if name != "shape" and not name.startswith("role")
            }
            return self.updates(view)
        except Exception as error:
            return self.updates(_failed(error))

    def on_test_upload(self, path: str | None) -> dict[Any, Any]:
        """Keep the held-out file under the home and say what is in it."""
        if not path:
            return self.updates({"test_token": "", "test_note": notice("")})
        try:
            token = store_upload(path, self.home)
            report = self.inspect(token)
            return self.updates({"test_token": token, "test_note": notice(report.summary, "note" if report.usable else "warning")})
        except Exception as error:
            return self.updates({"test_token": "", "test_note": notice(sentence(error), "error")})

    def on_use(
        self,
        token: str,
        test_token: str,
        shape: str,
        scale: str,
        low: float | None,
        high: float | None,
        used: float,
        *columns: str | None,
    ) -> dict[Any, Any]:
        """Import the file and put it into the draft."""
        if not token:
            return self.updates({"summary": notice("Upload a file first, or take the sample data.", "warning")})
        try:
            wanted = scale_of(scale, low, high) if "score" in SHAPES[shape] else None
            draft = use_dataset(self.context, token, mapping_of(shape, columns), wanted, test_token or "")
        except Exception as error:
            return self.updates({"summary": notice(sentence(error), "error")})
        chosen = {
            "stored": gr.Dropdown(choices=stored_choices(self.context), value=draft.data),
            "summary": notice("Ready. Next: choose the objective in the Train tab and start.", "good"),
            "use": gr.Button(interactive=False),
        }
        return self.updates({**self._changed(draft, used), **chosen})

    def on_use_stored(self, ref: str | None, used: float) -> dict[Any, Any]:
        """Put a stored data set into the draft."""
        from workbench.data import open_dataset

        dataset = open_dataset(_named(ref), self.home)
        loss = fitting_loss(load_draft(self.home).loss, dataset.kind)
        draft = update_draft(
            self.home, data=dataset.ref, columns={}, score_scale=None, test_data=None, validation_data=None, loss=loss
        )
        return self.updates({**self._changed(draft, used), "summary": notice("")})

    def on_delete_stored(self, ref: str | None, used: float) -> dict[Any, Any]:
        """Delete a stored data set."""
        from workbench.data import delete_dataset

        delete_dataset(_named(ref), self.home)
        draft = load_draft(self.home)
        if draft.data == ref:
            draft = update_draft(self.home, data=None)
        return self.updates({**self._changed(draft, used), **self._unlisted()})

    def _unlisted(self) -> dict[str, Any]:
        return {"stored": gr.Dropdown(choices=stored_choices(self.context), value=None), "summary": notice("")}

    def on_allow(self, allowed: bool) -> None:
        """Remember whether a random split is acceptable."""
        update_draft(self.home, allow_leaking_split=bool(allowed))

    def _changed(self, draft: Draft, used: float) -> dict[str, Any]:
        current, leaking = describe_current(self.context, draft)
        return {"current": current, "allow_leaking": leaking, "used": (used or 0) + 1}


def _unmapped() -> dict[str, Any]:
    return {"summary": notice("Choose the column of each role.", "note"), "use": gr.Button(interactive=False)}


def _known(report: DataReport, column: str | None) -> str | None:
    return column if column in report.columns else None


def _named(ref: str | None) -> str:
    if not ref:
        raise DataError("Choose a data set of the list first.", field="data")
    return ref


def _wire(context: Context, parts: dict[str, Any]) -> None:
    handlers = _Handlers(context, parts)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal", "show_progress_on": parts["file"]}

    def of(*names: str) -> list[Any]:
        return [parts[name] for name in names]

    slots = of(*(f"role{slot}" for slot in range(SLOTS)))
    shown = [*of("summary", "help", "review", "tables", "shape", "scale", "issues", "preview", "use"), *slots]
    scale, tokens = of("scale", "low", "high"), of("token", "test_token")
    changed = of("current", "allow_leaking", "used")
    parts["file"].upload(handlers.on_upload, of("file"), [*of("token"), *shown], **quiet)
    parts["sample"].click(handlers.on_sample, None, [*tokens, *of("test_note"), *shown], **quiet)
    parts["test_file"].upload(handlers.on_test_upload, of("test_file"), of("test_token", "test_note"), **quiet)
    parts["test_file"].clear(lambda: ("", notice("")), None, of("test_token", "test_note"), **quiet)
    parts["shape"].input(handlers.on_shape, [*of("token", "shape"), *slots], shown, **quiet)
    parts["scale"].input(lambda choice: gr.Row(visible=choice == "custom"), of("scale"), of("custom"), **quiet)
    gr.on(
        [*(slot.input for slot in slots), parts["scale"].input, parts["low"].blur, parts["high"].blur],
        handlers.on_mapping,
        [*of("token", "shape"), *scale, *slots],
        shown,
        trigger_mode="always_last",
        **quiet,
    )
    parts["use"].click(
        handlers.on_use, [*tokens, *of("shape"), *scale, *of("used"), *slots], [*changed, *of("stored", "summary", "use")], **quiet
    )
    parts["use_stored"].click(guarded(handlers.on_use_stored), of("stored", "used"), [*changed, *of("summary")], **quiet)
    parts["delete_stored"].click(
        guarded(handlers.on_delete_stored), of("stored", "used"), [*changed, *of("stored", "summary")], **quiet
    )
    parts["allowed"] = parts["allow_leaking"].input(guarded(handlers.on_allow), of("allow_leaking"), None, **quiet)
