"""A dry pass: a few of the user's rows through the network as a run would begin with it, and what is wrong with what comes out.

What is asked and what is found, as data; `network_probe` does the computing, where torch may be imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.data.texts import spread_texts
from workbench.errors import DataError
from workbench.models.bases import BUNDLED, SCRATCH
from workbench.models.token_counts import TokenCounts, cut_remedy
from workbench.recipe import ArchitectureSpec
from workbench.runs.history import resolve_model

ROWS = 3
"""Rows that are passed through."""

MOST_ROWS = 20_000
"""Rows looked at for the longest text, and for the tokens of `scratch`."""

READ_TEXTS = 1_000
"""Texts of which is counted what the encoder reads."""

SATURATED_AT = 0.99
"""A Tanh that returns a number above this has a gradient below 0.02 there."""

SATURATED_SHARE = 0.25
"""From this share of saturated numbers on a layer is named."""

DEAD_SHARE = 0.9
"""From this share of zeros behind an activation function on a layer is named."""

ALIKE = 0.99
"""Cosines all above this do not tell texts apart."""

_LONGEST_TEXT = 200
_VALUES = ("score", "label")


@dataclass(frozen=True)
class DryPassRequest:
    """What to pass through what.

    Attributes:
        base: Base encoder, a run's id resolved to its folder.
        architecture: The layers, encoder first.
        home: The workbench's home.
        roles: Roles of the text columns.
        rows: Numbers of the rows, from 1.
        columns: Their texts, one list a role.
        values: Their scores or labels; None where the data have none.
        read: Texts of the whole data set, to count what the encoder reads of them.
        vocabulary: Texts that `scratch` learns its tokens from; empty for any other base.
        seed: For the weights of new layers.
    """

    base: str
    architecture: ArchitectureSpec
    home: str
    roles: tuple[str, ...]
    rows: tuple[int, ...]
    columns: tuple[tuple[str, ...], ...]
    values: tuple[float, ...] | None
    read: tuple[str, ...]
    vocabulary: tuple[str, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            **{item.name: getattr(self, item.name) for item in dataclasses.fields(self)},
            "architecture": self.architecture.to_list(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DryPassRequest:
        """Read what `to_dict` wrote."""
        values = {item.name: data[item.name] for item in dataclasses.fields(cls)}
        return cls(
            **values
            | {
                "architecture": ArchitectureSpec.from_list(values["architecture"]),
                "columns": tuple(tuple(column) for column in values["columns"]),
                **{
                    name: None if values[name] is None else tuple(values[name])
                    for name in ("roles", "rows", "values", "read", "vocabulary")
                },
            }
        )


@dataclass(frozen=True)
class Finding:
    """Something to know before training.

    Attributes:
        severity: `error` where training cannot work, `warning` where it is hindered, `note` for what is usual.
        layer: Index of the layer it is about, or None.
        message: What is wrong, and what to do.
    """

    severity: Literal["error", "warning", "note"]
    layer: int | None
    message: str


@dataclass(frozen=True)
class LayerReport:
    """What one layer returned.

    Attributes:
        title: Class name.
        port: `tokens` or `sentence`.
        shape: (texts, most tokens of one, width) of token vectors; (texts, width) of sentence vectors. Texts that are
            the same to the encoder count once.
        lowest: Smallest finite number, None where there is none.
        highest: Largest finite number.
        mean_size: Mean of the absolute values of the finite numbers.
        non_finite: How many numbers are NaN or infinite.
        constant: Whether all vectors are equal; None where there is only one.
        zero_vectors: Vectors of length 0, which have no cosine.
        zeros: Share of numbers that are exactly 0.
        saturated: Share of numbers a Tanh has driven to its ends; None for a layer without one.
        activation: Its activation function, or None.
    """

    title: str
    port: str
    shape: tuple[int, ...]
    lowest: float | None
    highest: float | None
    mean_size: float | None
    non_finite: int
    constant: bool | None
    zero_vectors: int
    zeros: float
    saturated: float | None
    activation: str | None = None


@dataclass(frozen=True)
class TextReport:
    """One text.

    Attributes:
        row: Number of its row, from 1.
        role: Its role.
        text: Its beginning.
        read: Tokens that the encoder reads, special ones included.
        cut: Tokens behind its limit.
        unknown: Tokens that it does not know.
    """

    row: int
    role: str
    text: str
    read: int
    cut: int
    unknown: int


@dataclass(frozen=True)
class PairReport:
    """Two texts of one row.

    Attributes:
        row: Number of the row, from 1.
        roles: Roles of the two.
        cosine: Of their sentence vectors; None where one is zero or no number.
        value: Score or label of the row, or None.
    """

    row: int
    roles: tuple[str, str]
    cosine: float | None
    value: float | None


@dataclass(frozen=True)
class DryPass:
    """What came out.

    Attributes:
        layers: One report a layer, the encoder first.
        texts: The texts, row by row.
        pairs: The first text of each row with each other one of it.
        counts: What the encoder reads of the texts of the data set.
        most: The most tokens it can be set to read of a text.
        seconds: Building and computing.
    """

    layers: tuple[LayerReport, ...]
    texts: tuple[TextReport, ...]
    pairs: tuple[PairReport, ...]
    counts: TokenCounts
    most: int
    seconds: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What there is to know, errors first."""
        found = [*self._broken(), *self._hindered(), *self._not_read(), *self._alike()]
        return tuple(sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity)))

    def _broken(self) -> list[Finding]:
        for index, layer in enumerate(self.layers):
            if layer.non_finite:
                source = (
                    "the weights of the base are damaged; choose another base"
                    if index == 0
                    else "remove this layer, or choose other values for it"
                )
                return [
                    Finding(
                        "error", index, f"{layer.title} returns {layer.non_finite:,} numbers that are NaN or infinite: {source}."
                    )
                ]
        for index, layer in enumerate(self.layers):
            if layer.constant:
                return [
                    Finding(
                        "error",
                        index,
                        f"{layer.title} gives every text the same vector, so there is nothing to learn from; "
                        "remove this layer, or choose another activation function or pooling mode.",
                    )
                ]
        return []

    def _hindered(self) -> list[Finding]:
        found = []
        for index, layer in enumerate(self.layers):
            if layer.saturated is not None and layer.saturated >= SATURATED_SHARE:
                found.append(
                    Finding(
                        "warning",
                        index,
                        f"{layer.saturated:.0%} of the numbers behind the Tanh of this {layer.title} are beyond ±{SATURATED_AT}: it is "
                        "saturated, its gradient there is almost 0 and it learns slowly. Put LayerNorm or Normalize before it.",
                    )
                )
            if layer.activation not in {None, "tanh", "identity"} and layer.zeros >= DEAD_SHARE and not layer.constant:
                found.append(
                    Finding(
                        "warning",
                        index,
                        f"{layer.zeros:.0%} of the numbers behind {layer.activation} of this {layer.title} are 0; "
                        "take gelu or tanh, or put LayerNorm before it.",
                    )
                )
            if layer.zero_vectors and not layer.constant:
                found.append(
                    Finding(
                        "warning", index, f"{layer.title} gives {layer.zero_vectors} texts a vector of zeros, which has no cosine."
                    )
                )
        return found

    def _not_read(self) -> list[Finding]:
        found = self.counts.findings("this encoder", cut_remedy(self.counts.limit, self.most))
        return [Finding("warning", 0, message) for _, message in found]

    def _alike(self) -> list[Finding]:
        cosines = [pair.cosine for pair in self.pairs if pair.cosine is not None]
        if len(cosines) < 2 or min(cosines) < ALIKE or any(layer.constant for layer in self.layers):
            return []
        return [
            Finding(
                "note",
                None,
                f"All cosines are above {ALIKE}: so far the network hardly tells texts apart. "
                "That is usual before training and no fault of the stack.",
            )
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, findings included."""
        fields = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {
            **{name: [dataclasses.asdict(item) for item in fields.pop(name)] for name in ("layers", "texts", "pairs")},
            **fields,
            "counts": self.counts.to_dict(),
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DryPass:
        """Read what `to_dict` wrote."""
        return cls(
            tuple(LayerReport(**{**item, "shape": tuple(item["shape"])}) for item in data["layers"]),
            tuple(TextReport(**item) for item in data["texts"]),
            tuple(PairReport(**{**item, "roles": tuple(item["roles"])}) for item in data["pairs"]),
            TokenCounts.from_dict(data["counts"]),
            data["most"],
            data["seconds"],
        )


def plan_dry_pass(base: str, architecture: ArchitectureSpec, table: Any, home: Path, seed: int) -> DryPassRequest:
    """Return the request for some rows of a data set: the first ones, and the one with the longest text.

    Args:
        base: Base encoder, as a recipe names it.
        architecture: The layers, encoder first.
        table: The rows, a `datasets.Dataset` whose columns are named by role.
        home: Folder of the workbench.
        seed: For the weights of new layers.

    Raises:
        DataError: If the data set has no row.
        InputError: If the base is a run without a model.
    """
    table = table.select(range(min(len(table), MOST_ROWS)))
    if not len(table):
        raise DataError("The data set has no row to pass through the network; choose another.", field="data")
    names = list(table.column_names)
    roles = tuple(name for name in names if name not in _VALUES)
    texts = [list(table[role]) for role in roles]
    rows = choose_rows(texts)
    value = next((name for name in _VALUES if name in names), None)
    name = resolve_model(base, home)
    folder = Path(name).expanduser()
    return DryPassRequest(
        # Made absolute here: the encoder process has another current folder.
        base=str(folder.resolve()) if name != SCRATCH and name not in BUNDLED and folder.is_dir() else name,
        architecture=architecture,
        home=str(home.resolve()),
        roles=roles,
        rows=tuple(row + 1 for row in rows),
        columns=tuple(tuple(column[row] for row in rows) for column in texts),
        values=None if value is None else tuple(float(table[value][row]) for row in rows),
        read=tuple(spread_texts(texts, READ_TEXTS)),
        vocabulary=tuple(text for column in texts for text in column) if name == SCRATCH else (),
        seed=seed,
    )


def choose_rows(columns: Sequence[Sequence[str]]) -> list[int]:
    """Return indices of at most `ROWS` rows in order: the first ones, and the one with the longest text, where cutting off shows."""
    count = len(columns[0])
    longest = max(range(count), key=lambda row: max(len(column[row]) for column in columns))
    return sorted({longest, *[row for row in range(count) if row != longest][: ROWS - 1]})


def shorten(text: str) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
