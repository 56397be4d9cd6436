"""Queuing a run: everything that can be known beforehand is checked here, and refused with a sentence, before anything is written."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

from workbench.data import StoredDataset, import_file, is_dataset_ref, open_dataset, open_splits
from workbench.errors import ModelError, RunError
from workbench.models import describe_base, resolve_base
from workbench.models.folder import read_folder
from workbench.recipe import ArchitectureSpec, EncoderInfo, LayerSpec, Recipe, Suggestion, default_loss, suggest_training
from workbench.runs import store
from workbench.runs.database import has_history, open_database, read_database
from workbench.runs.history import clean_name, find_run, get_run, resolve_model
from workbench.runs.run import RECIPE_FILE, TRAIN, Run, create_run_id, is_run_id, run_folder
from workbench.runs.spawn import ensure_supervisor
from workbench.settings import prepare_home
from workbench.training.token_cache import TOKENS_FOLDER
from workbench.writing import write_text

BYTES_PER_WEIGHT = 4
"""Models are saved in fp32."""


def submit(
    recipe: Recipe,
    home: Path,
    start: bool = True,
    parent: str | None = None,
    kind: str = TRAIN,
    before: Callable[[Recipe], None] = lambda recipe: None,
) -> Run:
    """Check a recipe, freeze it and queue it.

    Args:
        recipe: What to do; files are imported, and an architecture or loss left open is settled.
        home: Folder of the workbench.
        start: Whether to start a supervisor; without it the run waits until the next one is started.
        parent: The run whose corrections this one takes up, or None.
        kind: Whether it trains or only measures the model of `parent` again.
        before: Is handed the recipe with nothing left open, before the run is queued.

    Returns:
        The queued run.

    Raises:
        InputError: If the base, the layers, the data, the loss or a setting cannot be used.
        RunError: If the home cannot be written to, or its disk has too little space for the model.
    """
    home = prepare_home(home.resolve())
    check_space(describe_start(recipe.base, home), home)
    try:
        settled, name = resolve_recipe(recipe, home)
        before(settled)
        run_id = _write(settled, name, home, held=not start, parent=parent, kind=kind)
    except OSError as error:
        raise RunError(
            f"The run could not be written under `{home}`: {error.strerror or error}; free some space or change its rights."
        ) from None
    if start:
        ensure_supervisor(home)
    return get_run(run_id, home)


def describe_start(name: str, home: Path) -> EncoderInfo:
    """Return what is known of a base, which may be the model of a run.

    Raises:
        InputError: If there is no such run or it has no model.
        ModelError: If there is no such base.
    """
    info = describe_base(resolve_model(name, home), home)
    return dataclasses.replace(info, name=name, source="run") if is_run_id(name) else info


def suggest(recipe: Recipe, home: Path) -> Suggestion:
    """Return the settings that fit the rows a recipe trains on. Data files are imported on the way.

    Raises:
        InputError: If the base, the layers, the data or the loss cannot be used.
    """
    settled, _ = resolve_recipe(recipe, home.resolve())
    assert settled.loss is not None
    parts = open_splits(settled, home.resolve())
    return suggest_training(parts.kind, len(parts.train), settled.loss.name)


def resolve_recipe(recipe: Recipe, home: Path) -> tuple[Recipe, str]:
    """Return the recipe with nothing left open, and the run's name. Data files are imported on the way."""
    info = describe_start(recipe.base, home)
    architecture = recipe.architecture
    if architecture is None:
        architecture = ArchitectureSpec((LayerSpec("transformer"), *info.layers)) if info.layers else ArchitectureSpec.default()
    architecture.validate(info)
    if info.source == "run" and find_run(recipe.base, home).active:
        raise ModelError(f"Run {recipe.base} has not ended; wait for its model, or choose another base.", field="base")
    if info.source in {"folder", "run"}:
        read_folder(resolve_base(resolve_model(recipe.base, home), home)).check_numbers()
    name = clean_name(recipe.name)
    dataset = _store(recipe.data, recipe, home)
    loss = recipe.loss or default_loss(dataset.kind)
    loss.check_kind(dataset.kind)
    settled = recipe.replace(
        # A folder is meant wherever it lay when the run was queued, not relative to where the run happens to be started.
        base=str(resolve_base(recipe.base, home)) if info.source == "folder" else recipe.base,
        data=dataset.ref,
        columns=dict(dataset.roles),
        score_scale=dataset.score_scale,
        architecture=architecture,
        loss=loss,
    )
    # Scores of all parts are read on one scale: that of the training data.
    alike = recipe.replace(score_scale=dataset.score_scale)
    held_out = {}
    for part in ("validation_data", "test_data"):
        given = getattr(recipe, part)
        held_out[part] = None if given is None else _store(given, alike, home).ref
    name = name or _free_name(clean_name(f"{dataset.name[:50]} on {_short(recipe.base)[:60]}"), home)
    settled = settled.replace(name=name, **held_out)
    # The worker splits again, by the same seed; here it tells whether there is anything to train on.
    open_splits(settled, home)
    return settled, name


def _free_name(name: str, home: Path) -> str:
    """Return a name that no run bears yet, numbered where the one given is taken."""
    if not has_history(home):
        return name
    with read_database(home) as connection:
        taken = store.fetch_names(connection)
    return next(free for free in chain([name], (f"{name} ({number})" for number in count(2))) if free not in taken)


def _store(source: str, recipe: Recipe, home: Path) -> StoredDataset:
    if is_dataset_ref(source) and not Path(source).is_file():
        return open_dataset(source, home)
    return import_file(Path(source).expanduser(), home, columns=recipe.columns or None, score_scale=recipe.score_scale)


def _short(base: str) -> str:
    return base.rstrip("/\\").replace("\\", "/").rpartition("/")[2]


def _write(recipe: Recipe, name: str, home: Path, held: bool, parent: str | None, kind: str) -> str:
    """Write the folder, then the row, so that whoever sees the row finds the recipe."""
    # Opened before: a blank history takes every folder that is there for a run of which the row was lost.
    with open_database(home) as connection:
        while True:
            run_id = create_run_id()
            folder = run_folder(run_id, home)
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:
                continue
        try:
            write_text(folder / RECIPE_FILE, recipe.to_json())
            store.insert(connection, run_id, name, recipe.base, recipe.data, kind, held=held, parent=parent)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return run_id


def check_space(info: EncoderInfo, home: Path) -> None:
    """Refuse a run that the disk has no room for: its model is there twice while a better one replaces it.

    Raises:
        RunError: If less is free than twice the model's size.
    """
    needed = 2 * BYTES_PER_WEIGHT * info.num_parameters
    free = shutil.disk_usage(home).free
    if free < needed:
        raise RunError(
            f"The disk of `{home}` has {free:,} bytes free, and the run needs {needed:,}, twice the size of its model; free some space: "
            f"`{home / TOKENS_FOLDER}` may be deleted whole, and old runs with `runs delete`.",
            field="base",
        )
