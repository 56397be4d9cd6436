"""The draft as a document and as a program, and a recipe file as the draft."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from workbench.errors import ConfigError
from workbench.recipe import ArchitectureSpec, EncoderInfo, LayerSpec, Recipe, render_program
from workbench.recipe.program import DEFAULT_FILES
from workbench.ui.context import Context
from workbench.ui.draft import Draft, update_draft
from workbench.ui.formatting import find_dataset, format_kind

if TYPE_CHECKING:
    from workbench.data import StoredDataset

ASSUMED_KIND = "scored_pairs"
"""What is shown while no data set is chosen."""

LONGEST_RECIPE = 1 << 20
"""Bytes; a recipe has a few thousand."""

_NO_DATA = "DATA"


def recipe_text(draft: Draft) -> str:
    """Return the draft as a recipe file, `data` being null while no data set is chosen."""
    document = _recipe(draft).to_dict() | {"data": draft.data}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def program_text(draft: Draft, dataset: StoredDataset | None, encoder: EncoderInfo | None, base: str) -> str:
    """Return the draft as a sentence-transformers program.

    Args:
        draft: What is set.
        dataset: Its data set, None where there is none; scored pairs are assumed then.
        encoder: Facts of the base, None where it cannot be read.
        base: Folder or name to load the encoder from.
    """
    held_out = {
        "validation": draft.validation_data or draft.training.validation_fraction,
        "test": draft.test_data or draft.training.test_fraction,
    }
    files = {name: file for name, file in DEFAULT_FILES.items() if held_out.get(name, True)}
    kind = dataset.kind if dataset else ASSUMED_KIND
    return render_program(_recipe(draft), kind, max(2, len(dataset.classes)) if dataset else 2, files, encoder, base)


def recipe_note(draft: Draft, dataset: StoredDataset | None) -> tuple[str, bool]:
    """Return what is missing from the recipe, or how to run it, and whether it is complete."""
    if not draft.data:
        return (
            f"No data set is chosen yet: the recipe names none, and the program assumes {format_kind(ASSUMED_KIND)} in {DEFAULT_FILES['train']}.",
            False,
        )
    if dataset is None:
        return f"The data set {draft.data} is gone; choose another in the Data tab.", False
    return (
        "Saved as recipe.json, it trains with: python -m workbench train --recipe recipe.json. "
        "The program reads CSV files, which this writes: python -m workbench script recipe.json --data DIR.",
        True,
    )


def open_recipe(text: str, context: Context) -> tuple[Draft, str]:
    """Put a recipe into the draft.

    Args:
        text: The file.
        context: The server's context.

    Returns:
        The draft as saved, and what to say of it.

    Raises:
        ConfigError: If the text is no recipe; nothing has changed then.
        ModelError: If its base cannot be read here.
    """
    recipe, has_data = _read(text)
    info = context.describe_base(recipe.base)
    own = ArchitectureSpec((LayerSpec("transformer"), *(info.layers or ArchitectureSpec.default().layers[1:])))
    changes = {item.name: getattr(recipe, item.name) for item in dataclasses.fields(recipe)}
    changes["architecture"] = recipe.architecture or own
    missing = [
        name
        for name in ("data", "validation_data", "test_data")
        if changes[name] and (name != "data" or has_data) and find_dataset(changes[name], context) is None
    ]
    words = f"The recipe{' ' + recipe.name if recipe.name else ''} is open: its layers here, its objective and settings in Train."
    if not has_data or "data" in missing:
        # Roles and scale belong to a data set; without one they mean nothing.
        for name in ("data", "columns", "score_scale"):
            changes.pop(name)
        words += (
            f" Its data set {recipe.data} is not in this workbench; the one chosen in Data stays."
            if has_data
            else " It names no data set; the one chosen in Data stays."
        )
    for name in ("validation_data", "test_data"):
        if name in missing:
            words += f" Its {name.replace('_', ' ')} {changes[name]} is not here and was left out."
            changes[name] = None
    return update_draft(context.home, **changes), words


def _recipe(draft: Draft) -> Recipe:
    return dataclasses.replace(draft, data=draft.data or _NO_DATA).to_recipe()


def _read(text: str) -> tuple[Recipe, bool]:
    """Return the recipe, and whether it names a data set: one copied from an unfinished draft does not."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"The file is no recipe: it is not JSON ({error}).", field="recipe") from None
    if isinstance(document, dict) and document.get("data") is None and "base" in document:
        return Recipe.from_dict(document | {"data": _NO_DATA}), False
    try:
        return Recipe.from_dict(document), True
    except (TypeError, ValueError, AttributeError):
        raise ConfigError("The file is JSON but no recipe; save one here and compare.", field="recipe") from None
