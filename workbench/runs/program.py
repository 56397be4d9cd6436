"""A run or a recipe as a program that uses sentence-transformers and nothing of ours, on the very same rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.data import Splits, open_splits
from workbench.errors import InputError
from workbench.models.bases import BUNDLED
from workbench.recipe import KINDS, Recipe
from workbench.recipe.program import DEFAULT_FILES, render_program
from workbench.runs.history import get_run, resolve_model
from workbench.runs.run import BASE_FOLDER
from workbench.runs.submission import describe_start, resolve_recipe
from workbench.writing import describe_refusal, replacing


def program_of_run(run_id: str, home: Path, folder: Path | None = None) -> str:
    """Return the program that trains what a run trains.

    Args:
        run_id: Which run.
        home: Folder of the workbench.
        folder: Gets the run's parts as CSV files for the program to read; None where the user brings them.

    Raises:
        InputError: If there is no such run, its data are gone, or the folder cannot be written to.
    """
    run = get_run(run_id, home)
    own_base = run.folder / BASE_FOLDER
    return _program(run.recipe(), home, folder, str(own_base) if own_base.is_dir() else None)


def program_of_recipe(recipe: Recipe, home: Path, folder: Path | None = None) -> str:
    """Return the program that trains what a recipe would train; its data are imported, nothing is queued.

    Args:
        recipe: What to do; what it leaves open is settled as for a run.
        home: Folder of the workbench.
        folder: Gets the parts as CSV files for the program to read; None where the user brings them.

    Raises:
        InputError: If the recipe cannot be used, or the folder cannot be written to.
    """
    return _program(resolve_recipe(recipe, home)[0], home, folder, None)


def _program(recipe: Recipe, home: Path, folder: Path | None, base: str | None) -> str:
    parts = open_splits(recipe, home)
    tables = {name: table for name in DEFAULT_FILES if (table := getattr(parts, name)) is not None}
    files = {name: DEFAULT_FILES[name] for name in tables}
    if folder is not None:
        files = _write_parts(parts, tables, folder)
    if base is None:
        base = str(BUNDLED[recipe.base]) if recipe.base in BUNDLED else resolve_model(recipe.base, home)
    encoder = describe_start(recipe.base, home)
    return render_program(recipe, parts.kind, max(2, len(parts.classes)), files, encoder, base)


def _write_parts(parts: Splits, tables: dict[str, Any], folder: Path) -> dict[str, str]:
    roles = KINDS[parts.kind].roles
    if folder.exists() and not folder.is_dir():
        raise InputError(f"The parts cannot be written: `{folder}` is a file; name a folder.", field="data")
    files = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            path = folder / DEFAULT_FILES[name]
            _write_csv(path, roles, zip(*(table[role] for role in roles), strict=True))
            files[name] = str(path.resolve())
    except OSError as error:
        raise InputError(f"The parts could not be written: {describe_refusal(error, folder)}", field="data") from None
    return files


def _write_csv(path: Path, roles: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    with replacing(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(roles)
        writer.writerows(rows)
