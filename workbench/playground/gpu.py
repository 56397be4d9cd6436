"""Who has the GPU: a run has it before the playground."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.runs.history import list_runs
from workbench.runs.run import Run

_WANTING = frozenset({"queued", "running", "stopping"})


def gpu_is_taken(home: Path) -> bool:
    """Return whether a run that is queued or under way may compute on the GPU that the playground would take, the first one."""
    return any(run.status in _WANTING and _may_take_first_gpu(run) for run in list_runs(home))


def _may_take_first_gpu(run: Run) -> bool:
    if run.device.rpartition(" ")[2] == "cpu":  # of several processes: "2 x cpu"
        return False
    try:
        asked = run.recipe().training.device
    except WorkbenchError:
        return True
    # A run's own name for its GPU says nothing: it sees none but those it may use. Of several GPUs it takes the first ones.
    kind, _, index = asked.partition(":")
    return kind != "cpu" and int(index or 0) == 0
