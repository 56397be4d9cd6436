"""One press to a first result: the sample data, a sensible stack, sensible settings, a run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from workbench.recipe import ArchitectureSpec, LayerSpec, TrainingConfig
from workbench.ui.context import Context
from workbench.ui.draft import update_draft
from workbench.ui.suggestions import follow_suggestion, watched
from workbench.ui.uploads import SAMPLE_FILE, SAMPLE_TEST_FILE

if TYPE_CHECKING:
    from workbench.runs import Run


def quick_start(context: Context) -> Run:
    """Import the sample data, put a recipe in the draft and start it.

    Args:
        context: The server's context.

    Returns:
        The run, queued or already training.

    Raises:
        WorkbenchError: If the sample data is missing or the run cannot be queued.
    """
    from workbench.data import import_file
    from workbench.models import DEFAULT_BASE
    from workbench.runs import submit

    data = import_file(SAMPLE_FILE, context.home, name=SAMPLE_FILE.stem)
    test = import_file(SAMPLE_TEST_FILE, context.home, name=SAMPLE_TEST_FILE.stem) if SAMPLE_TEST_FILE.exists() else None
    info = context.describe_base(DEFAULT_BASE)
    layers = info.layers or (LayerSpec("pooling"),)
    draft = update_draft(
        context.home,
        base=DEFAULT_BASE,
        architecture=ArchitectureSpec((LayerSpec("transformer"), *layers)),
        data=data.ref,
        columns={},
        score_scale=None,
        validation_data=None,
        test_data=None if test is None else test.ref,
        loss=None,
        training=TrainingConfig(),
        touched=(),
        watch=None,
        name="",
    )
    draft = follow_suggestion(context, draft, data)
    return submit(dataclasses.replace(draft, watch=watched(context, draft, data)).to_recipe(), context.home)
