"""The draft: what the next run will be, saved under the home at every edit so that no reload loses it."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError, WorkbenchError
from workbench.recipe import SUGGESTED, ArchitectureSpec, LossSpec, Recipe, TrainingConfig

DRAFT_FILE = "draft.json"

_lock = threading.RLock()


def _default_base() -> str:
    from workbench.models import DEFAULT_BASE

    return str(DEFAULT_BASE)


@dataclass(frozen=True)
class Draft:
    """A recipe in the making: the same fields as `Recipe`, but the data set may still be missing.

    Attributes:
        base: Base encoder, as `Recipe.base`.
        architecture: The layers, encoder first; it may be illegal while it is edited.
        data: `ID/vN` of a stored data set, or None while none is chosen.
        columns: Role -> column name; empty for a stored data set, which knows its roles.
        score_scale: `(lowest, highest)` of the scores, or None.
        validation_data: A stored data set to select on, or None.
        test_data: A stored data set for the verdict, or None.
        loss: The objective; None takes the one that fits the data.
        training: Settings of the loop.
        name: What the user calls the run.
        allow_leaking_split: Whether a random split is acceptable.
        watch: The watch-list; None while the user has not touched it, so that it follows the data set.
        touched: Which of the settings that are suggested from the data the user has set; the others follow the suggestion.
    """

    base: str = field(default_factory=_default_base)
    architecture: ArchitectureSpec = field(default_factory=ArchitectureSpec.default)
    data: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    score_scale: tuple[float, float] | None = None
    validation_data: str | None = None
    test_data: str | None = None
    loss: LossSpec | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    name: str = ""
    allow_leaking_split: bool = False
    watch: tuple[str, ...] | None = None
    touched: tuple[str, ...] = ()

    def to_recipe(self) -> Recipe:
        """Return the recipe that a run freezes.

        Raises:
            ConfigError: If no data set is chosen yet.
        """
        if not self.data:
            raise ConfigError(
                "No data set is chosen yet; open the Data tab, upload a file and press Use this data set.", field="data"
            )
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "touched"}
        return Recipe(**{**values, "watch": self.watch or ()})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "base": self.base,
            "architecture": self.architecture.to_list(),
            "data": self.data,
            "columns": dict(self.columns),
            "score_scale": None if self.score_scale is None else list(self.score_scale),
            "validation_data": self.validation_data,
            "test_data": self.test_data,
            "loss": None if self.loss is None else self.loss.to_dict(),
            "training": self.training.to_dict(),
            "name": self.name,
            "allow_leaking_split": self.allow_leaking_split,
            "watch": None if self.watch is None else list(self.watch),
            "touched": list(self.touched),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Draft:
        """Read what `to_dict` wrote; missing fields take their default, unknown ones are left out.

        Raises:
            ConfigError: If a layer, a loss or a setting is not valid.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        if "architecture" in values:
            values["architecture"] = ArchitectureSpec.from_list(values["architecture"])
        if values.get("score_scale") is not None:
            low, high = values["score_scale"]
            values["score_scale"] = (float(low), float(high))
        if values.get("loss") is not None:
            values["loss"] = LossSpec.from_dict(values["loss"])
        if "training" in values:
            values["training"] = TrainingConfig.from_dict(values["training"])
        for name in ("watch", "touched"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        return cls(**values)


def load_draft(home: Path) -> Draft:
    """Return the saved draft, or a fresh one where there is none or the file cannot be read.

    Args:
        home: Folder of the workbench.
    """
    try:
        data = json.loads((home / DRAFT_FILE).read_text(encoding="utf-8"))
        return Draft.from_dict(data)
    except FileNotFoundError:
        return Draft()
    except (OSError, ValueError, TypeError, AttributeError, WorkbenchError):
        # A draft is a convenience: one written by another version must not keep the page from opening.
        return Draft()


def save_draft(home: Path, draft: Draft) -> None:
    """Write the draft so that a reader sees the old one or the new one, never half of it.

    Args:
        home: Folder of the workbench; created if missing.
        draft: What to save.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=home, prefix=".draft-", suffix=".json", delete=False) as file:
            json.dump(draft.to_dict(), file, indent=2, ensure_ascii=False)
        os.replace(file.name, home / DRAFT_FILE)  # noqa: PTH105 - the atomic rename is the point
    except OSError as error:
        raise ConfigError(
            f"The workbench's folder `{home}` cannot be written ({error.strerror}); choose another with `--home`."
        ) from None


def edit_draft(home: Path, edit: Callable[[Draft], Draft]) -> tuple[Draft, Draft]:
    """Change the saved draft, with nothing in between, and save it.

    Args:
        home: Folder of the workbench.
        edit: Returns the draft that takes the place of the one it is handed.

    Returns:
        The draft as it was and as it is now.
    """
    with _lock:
        before = load_draft(home)
        after = edit(before)
        if after != before:
            save_draft(home, after)
        return before, after


def update_draft(home: Path, **changes: Any) -> Draft:
    """Change some fields of the saved draft and save it.

    Args:
        home: Folder of the workbench.
        **changes: Fields of `Draft`. Whoever gives `training` means every setting in it, unless `touched` says otherwise.

    Returns:
        The draft as saved.
    """
    if "training" in changes:
        changes.setdefault("touched", SUGGESTED)
    return edit_draft(home, lambda draft: dataclasses.replace(draft, **changes))[1]
