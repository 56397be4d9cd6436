"""How a run came out: the verdict, the forgetting check, the spread of cosines, and the table of errors with its corrections.

The script reads `/api/runs/ID/outcome` and `/api/runs/ID/errors` itself and sends corrections there, so that marks are on disk
the moment they are made and a reload shows them again.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.ui.components._script import read_script, read_style


def create_outcome(*, elem_id: str) -> gr.HTML:
    """Return the component, empty.

    Events: `retrained` when a linked run was queued and `open` when the user wants to see a linked run; the data name `run_id`.

    Args:
        elem_id: Id of the element.
    """
    return gr.HTML(
        value=outcome_value(None),
        html_template='<section class="wb-outcome" aria-label="Verdict of the run" data-state="empty"></section>',
        css_template=read_style("outcome"),
        js_on_load=read_script("outcome"),
        elem_id=elem_id,
        apply_default_css=False,
    )


def outcome_value(run_id: str | None, status: str = "") -> dict[str, Any]:
    """Return the value that makes the panel show a run.

    Args:
        run_id: The run; None for none.
        status: Its status, so that the panel looks again once a run has ended.
    """
    return {"run_id": run_id, "status": status}
