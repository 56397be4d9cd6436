"""The page as a whole: what Gradio is told of its events."""

from __future__ import annotations

from workbench.ui.blocks import create_blocks
from workbench.ui.context import Context


def test_no_event_shows_its_status_on_what_an_event_changes(settings):
    config = create_blocks(Context(settings)).config
    events = [event for event in config["dependencies"] if event["backend_fn"]]
    changed = {output for event in config["dependencies"] for output in event["outputs"]}
    shown = {target for event in events for target in event["show_progress_on"] or event["outputs"]}
    parts = {part["id"]: part["props"].get("elem_id") or part["type"] for part in config["components"]}
    assert len(events) > 50
    assert [parts[target] for target in shown & changed] == []
