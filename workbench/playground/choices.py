"""Which models the playground offers, and what their names stand for."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import ModelError
from workbench.models.bases import BUNDLED, list_bases
from workbench.runs.history import get_run, list_runs, resolve_model
from workbench.runs.run import BASE_FOLDER, is_run_id

BASE_PREFIX = "base:"
SCRATCH = "scratch"


def model_choices(home: Path) -> list[tuple[str, str]]:
    """Return `(label, model)` of what can be tried now: finished runs, what they started from, then bases at hand."""
    finished = [run for run in list_runs(home) if not run.active and run.model_folder is not None]
    tuned = [(f"{run.name} ({run.run_id})", run.run_id) for run in finished]
    started_from = [(f"Before {run.name} ({run.run_id})", f"{BASE_PREFIX}{run.run_id}") for run in finished]
    bases = [(entry.title, entry.name) for entry in list_bases(home) if entry.available and entry.name != SCRATCH]
    return [*tuned, *started_from, *bases]


def resolve_encoder(model: str, home: Path) -> str:
    """Return the folder, bundled name or Hub name that a choice stands for.

    Args:
        model: A Hub name, a folder, a bundled name, a run id, or `base:RUN_ID`.
        home: Folder of the workbench.

    Raises:
        InputError: If there is no such run, or it has no model.
        ModelError: If the model has no weights to load.
    """
    name = model.strip()
    if not name:
        raise ModelError("No model was chosen; choose a run, a folder or a Hub name.", field="model")
    if name.startswith(BASE_PREFIX):
        run = get_run(name.removeprefix(BASE_PREFIX), home)
        own = run.folder / BASE_FOLDER
        if own.is_dir():
            return str(own)
        if run.base == SCRATCH:
            raise ModelError(f"Run {run.run_id} has not built its untrained encoder yet; wait until it trains.", field="model")
        return resolve_model(run.base, home)
    if name == SCRATCH:
        raise ModelError("`scratch` has no weights before it is trained; choose a run that started from it.", field="model")
    if is_run_id(name):
        return resolve_model(name, home)
    folder = Path(name).expanduser()
    # Made absolute here: the encoder process has another current folder.
    return str(folder.resolve()) if name not in BUNDLED and folder.is_dir() else name
