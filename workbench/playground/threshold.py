"""From which cosine on two texts count as a match, as far as a model's run can tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.evaluation import read_calibration
from workbench.evaluation.calibration import read_reason
from workbench.playground.choices import BASE_PREFIX
from workbench.runs.history import find_run
from workbench.runs.run import is_run_id


@dataclass(frozen=True)
class Threshold:
    """Where matches begin.

    Attributes:
        value: The cosine; None where nothing tells it.
        source: What it was found on, or why there is none, as words that go on after "The threshold".
        unrelated: The model's mean cosine of unrelated texts; None where the run did not measure it.
    """

    value: float | None
    source: str
    unrelated: float | None = None


def find_threshold(model: str, home: Path) -> Threshold:
    """Return the cosine that the model's run chose on its validation part.

    Args:
        model: A run id or `base:RUN_ID`; any other model has no run to learn a threshold from.
        home: Folder of the workbench.
    """
    run_id = model.removeprefix(BASE_PREFIX)
    if not is_run_id(run_id):
        return Threshold(None, "is not known: it is learned from a run's validation rows, and this model belongs to no run here.")
    try:
        run = find_run(run_id, home)
    except WorkbenchError as error:
        return Threshold(None, f"could not be found: {error.message}")
    calibration = read_calibration(run.folder)
    if calibration is None:
        reason = read_reason(run.folder) or "the run has none, for want of validation rows with matches and others among them"
        return Threshold(None, f"is not known: {reason}.")
    is_base = model.startswith(BASE_PREFIX)
    side = calibration.base if is_base else calibration.tuned
    unrelated = (run.findings["unrelated_cosine"] or {}).get("before" if is_base else "after")
    return Threshold(
        side.value,
        f"was chosen on the run's {calibration.validation_rows:,} validation rows and tells {side.accuracy:.0%} of "
        f"{side.pairs:,} test pairs apart rightly; a match is: {calibration.match}.",
        unrelated,
    )
