"""The whole of what a run does, as one frozen JSON document."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import ConfigError
from workbench.recipe.architecture import ArchitectureSpec
from workbench.recipe.losses import LossSpec
from workbench.recipe.training import TrainingConfig
from workbench.recipe.watch import check_watch

RECIPE_VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """What a run does.

    Attributes:
        base: Base encoder: a Hub name, a folder, a run id, `scratch` or a bundled name.
        data: Training data: a file's path, or `ID/vN` of a stored data set.
        architecture: The layers, encoder first; None takes the base's own layers, or mean pooling.
        loss: The objective; None takes the one that fits the data.
        columns: Role -> column name; empty takes the roles guessed from names and values.
        score_scale: `(lowest, highest)` of the scores in the file; None takes the one seen in the file.
        validation_data: A file or stored data set to select on; None splits it off `data`.
        test_data: A file or stored data set for the verdict; None splits it off `data`.
        training: Settings of the loop.
        name: What the user calls the run; empty for a generated name.
        allow_leaking_split: Whether a random split is acceptable where no leak-free one leaves enough rows.
        watch: Up to twelve sentences whose similarities are recorded at every evaluation; they train nothing.
    """

    base: str
    data: str
    architecture: ArchitectureSpec | None = None
    loss: LossSpec | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    score_scale: tuple[float, float] | None = None
    validation_data: str | None = None
    test_data: str | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    name: str = ""
    allow_leaking_split: bool = False
    watch: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what can be checked without looking at files."""
        for name in ("base", "data"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(f"A recipe needs `{name}`, got {value!r}.", field=name)
        object.__setattr__(self, "columns", dict(self.columns))
        object.__setattr__(self, "watch", check_watch(self.watch))
        if self.score_scale is not None:
            low, high = (float(bound) for bound in self.score_scale)
            if not low < high:
                raise ConfigError(f"`score_scale` must be (lowest, highest), got {self.score_scale!r}.", field="score_scale")
            object.__setattr__(self, "score_scale", (low, high))

    def replace(self, **changes: Any) -> Recipe:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "version": RECIPE_VERSION,
            "name": self.name,
            "base": self.base,
            "architecture": None if self.architecture is None else self.architecture.to_list(),
            "data": self.data,
            "columns": dict(self.columns),
            "score_scale": None if self.score_scale is None else list(self.score_scale),
            "validation_data": self.validation_data,
            "test_data": self.test_data,
            "allow_leaking_split": self.allow_leaking_split,
            "loss": None if self.loss is None else self.loss.to_dict(),
            "training": self.training.to_dict(),
            "watch": list(self.watch),
        }

    def to_json(self) -> str:
        """Return it as an indented JSON document."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what `to_dict` wrote; missing fields take their default.

        Raises:
            ConfigError: On an unknown field, a newer version or a bad value.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"A recipe must be a JSON object, got {type(data).__name__}.", field="recipe")
        values = dict(data)
        version = values.pop("version", RECIPE_VERSION)
        if version != RECIPE_VERSION:
            raise ConfigError(
                f"This recipe has version {version!r}; this workbench reads version {RECIPE_VERSION}.", field="recipe"
            )
        known = {item.name for item in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise ConfigError(f"A recipe has no field `{name}`; it has: {', '.join(sorted(known))}.", field=name)
        for name in ("base", "data"):
            values.setdefault(name, None)
        if values.get("architecture") is not None:
            values["architecture"] = ArchitectureSpec.from_list(values["architecture"])
        if values.get("loss") is not None:
            values["loss"] = LossSpec.from_dict(values["loss"])
        if "training" in values:
            values["training"] = TrainingConfig.from_dict(values["training"])
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote.

        Raises:
            ConfigError: If the text is not JSON or not a recipe.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"The recipe is not JSON: {error}.", field="recipe") from None
        return cls.from_dict(data)
