"""How much of a data set its base encoder would read, before anything is loaded or trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.data import open_dataset
from workbench.data.texts import TextColumn, spread_texts
from workbench.errors import WorkbenchError
from workbench.models import TokenCounts, count_before_loading, describe_base
from workbench.models.token_counts import cut_remedy, short_name
from workbench.recipe import KINDS, Recipe
from workbench.runs.history import resolve_model


@dataclass(frozen=True)
class Reading:
    """What a base encoder reads of a data set.

    Attributes:
        base: The encoder, as a recipe names it.
        counts: Of the texts that were looked at.
        texts: Texts that there are.
        most: Tokens that the encoder can be set to read of a text.
    """

    base: str
    counts: TokenCounts
    texts: int
    most: int

    def findings(self) -> list[tuple[str, str]]:
        """Return kind and sentence of what the owner of the texts should know; nothing where all is read and known."""
        return list(self.counts.findings(f"`{short_name(self.base)}`", cut_remedy(self.counts.limit, self.most)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        findings = [{"kind": kind, "message": message} for kind, message in self.findings()]
        return {"base": self.base, "of_texts": self.texts, **self.counts.summary(), "findings": findings}


def read_columns(base: str, columns: Sequence[TextColumn], home: Path, limit: int | None = None) -> Reading | None:
    """Return how much of some texts a base encoder would read; None where that cannot be told before it is loaded.

    Args:
        base: As a recipe names it.
        columns: The texts.
        home: Folder of the workbench.
        limit: Where texts will be cut off; None for the encoder's own.
    """
    try:
        name = resolve_model(base, home)
        counts = count_before_loading(name, spread_texts(columns), home, limit)
        return None if counts is None else Reading(base, counts, sum(map(len, columns)), describe_base(name, home).max_positions)
    except WorkbenchError:  # said where the base is used
        return None


def read_dataset(recipe: Recipe, home: Path) -> Reading | None:
    """Return how much of a recipe's stored data set its base encoder would read, see `read_columns`.

    Args:
        recipe: Its data are stored already.
        home: Folder of the workbench.
    """
    try:
        stored = open_dataset(recipe.data, home)
        table = stored.table()
    except WorkbenchError:  # said where the data set is used
        return None
    layers = recipe.architecture.layers if recipe.architecture is not None else ()
    limit = layers[0].params.get("max_seq_length") if layers else None
    columns: list[TextColumn] = [table[role] for role in KINDS[stored.kind].texts]
    return read_columns(recipe.base, columns, home, limit)
