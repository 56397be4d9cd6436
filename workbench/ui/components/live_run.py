"""The live panel: progress, curves, what each evaluation saw, log and verdict of one run.

The script polls `/api/runs/ID/live` itself, so that no event of the page is bound to a run: after a reload, or when the
server comes back, it goes on where the run is.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.ui.components._script import read_script, read_style


def create_live_run(*, elem_id: str) -> gr.HTML:
    """Return the component.

    Its value is `{"run_id": ..., "count": ...}`, held by the browser. Events: `state` when a run starts or ends, `compare` when
    the user wants to compare the model in the playground.

    Args:
        elem_id: Id of the element; `ID-head` names the run, `ID-verdict` says how it came out.
    """
    return gr.HTML(
        value=attach(None),
        html_template='<section class="wb-live" aria-label="Live view of a run" data-state="empty"></section>',
        css_template=read_style("live_run"),
        js_on_load=read_script("live_run"),
        elem_id=elem_id,
        apply_default_css=False,
        prefix=elem_id,
    )


def attach(run_id: str | None, count: int = 0) -> dict[str, Any]:
    """Return the value that makes the panel show a run.

    Args:
        run_id: The run; None lets the panel find one.
        count: Any number that differs from the last one, so that the same run can be attached again.
    """
    return {"run_id": run_id, "count": count}
