"""Which column plays which role, guessed from names and values, and what kind of data set that makes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from workbench.data.inference import INFERENCE_ROLES, count_triplets
from workbench.data.issues import listed, quoted, short
from workbench.data.tables import RawTable
from workbench.data.values import parse_number
from workbench.data.vocabulary import FALSE_WORDS, MISSING_LABELS, TRUE_WORDS, names_no_value, role_of_name
from workbench.errors import DataError
from workbench.recipe.kinds import KINDS

_SAMPLE = 500
_MOST_CLASSES = 20
MINIMUM_ROWS = 8
"""Rows that a data set has at least."""


@dataclass(frozen=True)
class Guess:
    """Roles and kind.

    Attributes:
        roles: Role -> column, in the order of the kind's roles; `INFERENCE_ROLES` where triplets are to be made of the rows.
        kind: A key of `KINDS`; None where no kind fits.
        reason: Why no kind fits; empty where one does.
    """

    roles: Mapping[str, str]
    kind: str | None
    reason: str = ""


def settle_roles(table: RawTable, columns: Mapping[str, str] | None) -> Guess:
    """Return the roles given by the user, checked, or else guessed.

    Args:
        table: The file's cells.
        columns: Role -> column as the user says; None or empty to guess.

    Raises:
        DataError: If a role or column named by the user does not exist, or the roles make no kind of data set.
    """
    if not columns:
        return guess_roles(table)
    known = sorted({role for kind in KINDS.values() for role in kind.roles})
    for role, column in columns.items():
        if role not in known:
            raise DataError(f"There is no role {role!r}; there are: {', '.join(known)}.", field="columns")
        if column not in table.columns:
            raise DataError(
                f"There is no column {quoted(column)} for {role}; the file has: {listed(table.columns)}.", field="columns"
            )
    if len(set(columns.values())) < len(columns):
        raise DataError(
            f"A column plays two roles: {', '.join(f'{role}={short(column)}' for role, column in columns.items())}.",
            field="columns",
        )
    return _with_kind(table, dict(columns))


def guess_roles(table: RawTable) -> Guess:
    """Return roles guessed from names first, then from values."""
    filled = [name for name, cells in table.columns.items() if any(cell and cell.strip() for cell in cells)]
    named: dict[str, str] = {}
    for name in filled:
        role = role_of_name(name)
        if role is not None and role not in named:
            named[role] = name
    texts = [name for name in filled if _is_text(table, name)]
    for role in ("sentence1", "sentence2", "anchor", "positive", "negative"):
        if role in named and not _is_text(table, named[role], lenient=True):
            del named[role]  # "title" over numbers, "source" over file names
    pair = _find_texts(named, texts)
    if pair is None:
        return Guess({}, None, _too_few_texts(table, filled, texts, named))
    if set(pair) == {"anchor", "positive", "negative"}:
        return _with_kind(table, pair)
    value = _find_value(table, named, [name for name in filled if name not in pair.values()])
    if value is not None:
        role, column = value
        first, second = list(pair.values())[:2]
        inference = dict(zip(INFERENCE_ROLES, (first, second, column), strict=True))
        if role == "label" and count_triplets(table, inference) >= MINIMUM_ROWS:
            return _with_kind(table, inference)
        return _with_kind(table, {"sentence1": first, "sentence2": second, role: column})
    first, second = list(pair.values())[:2]
    return _with_kind(table, {"anchor": first, "positive": second})


def _find_texts(named: Mapping[str, str], texts: list[str]) -> dict[str, str] | None:
    """Return the text roles, those that names give first, what is missing by the look of the values."""
    for roles in (("anchor", "positive", "negative"), ("sentence1", "sentence2"), ("anchor", "positive")):
        if all(role in named for role in roles):
            return {role: named[role] for role in roles}
    for roles in (("sentence1", "sentence2"), ("anchor", "positive")):
        present = [role for role in roles if role in named]
        others = [name for name in texts if name not in named.values()]
        if present and others:
            pair = {role: named.get(role) or others[0] for role in roles}
            return pair
    if len(texts) >= 2:
        return {"sentence1": texts[0], "sentence2": texts[1]}
    return None


def _find_value(table: RawTable, named: Mapping[str, str], others: list[str]) -> tuple[str, str] | None:
    """Return (role, column) of the score or label."""
    for role in ("score", "label"):
        column = named.get(role)
        if column in others:
            return role, str(column)
    numeric = [name for name in others if not names_no_value(name) and _is_score_like(table, name)]
    return ("score", numeric[0]) if numeric else None


def _with_kind(table: RawTable, roles: dict[str, str]) -> Guess:
    present = set(roles)
    if present in ({"anchor", "positive", "negative"}, {"anchor", "positive"}):
        kind = "triplets" if "negative" in present else "pairs"
        return Guess({role: roles[role] for role in KINDS[kind].roles}, kind)
    if present == set(INFERENCE_ROLES):
        return Guess({role: roles[role] for role in INFERENCE_ROLES}, "triplets")
    if {"sentence1", "sentence2"} <= present and len(present) == 3 and present & {"score", "label"}:
        given = "score" if "score" in present else "label"
        kind = _value_kind(table, roles[given], given)
        roles = {"sentence1": roles["sentence1"], "sentence2": roles["sentence2"], str(KINDS[kind].label): roles[given]}
        return Guess(roles, kind)
    shapes = [*((kind.roles, name) for name, kind in KINDS.items()), (INFERENCE_ROLES, "pairs of inference, made into triplets")]
    combinations = "; ".join(f"{', '.join(names)} ({meaning})" for names, meaning in shapes)
    raise DataError(f"The roles {', '.join(roles)} make no data set; possible are: {combinations}.", field="columns")


def _value_kind(table: RawTable, column: str, role: str) -> str:
    """Return `scored_pairs`, `labelled_pairs` or `class_pairs`.

    Raises:
        DataError: If a column of words is said to be a score.
    """
    words = {cell.strip().casefold() for cell in table.columns[column] if cell is not None} - MISSING_LABELS
    readable = {word for word in words if parse_number(word) is not None}
    numbers = {parse_number(word) for word in readable}
    mostly_numbers = len(readable) >= 0.5 * len(words)
    if words and words <= TRUE_WORDS | FALSE_WORDS and len(words) <= 6:
        return "labelled_pairs"
    if role == "score":
        if words and not mostly_numbers:
            example = sorted(words)[0]
            raise DataError(
                f"The column {quoted(column)} is to be the score but holds words such as {quoted(example)}; a score is a number. "
                f"If these words are classes, give the column the role label: `label={column}`.",
                field="columns",
            )
        return "scored_pairs"
    if mostly_numbers and (any(number != int(number) for number in numbers if number is not None) or len(numbers) > _MOST_CLASSES):
        return "scored_pairs"
    return "class_pairs"


def _is_text(table: RawTable, name: str, lenient: bool = False) -> bool:
    """Return whether a column holds texts; lenient: anything that is not mostly numbers, links or markup."""
    cells = [cell.strip() for cell in table.columns[name][:_SAMPLE] if cell and cell.strip()]
    if not cells:
        return False
    numbers = sum(parse_number(cell) is not None for cell in cells)
    links = sum(cell.startswith(("http://", "https://", "www.")) for cell in cells)
    markup = sum(cell.startswith("<") and cell.endswith(">") for cell in cells)
    if max(numbers, links, markup) > 0.5 * len(cells):
        return False
    if lenient:
        return True
    several_words = sum(len(cell.split()) >= 2 or len(cell) >= 20 for cell in cells)
    varied = len(set(cells)) / len(cells)
    return several_words > 0.5 * len(cells) and (varied > 0.1 or len(cells) < 20)


def _is_score_like(table: RawTable, name: str) -> bool:
    """Return whether a column holds numbers with more than one value that do not simply count the rows."""
    cells = [cell.strip() for cell in table.columns[name][:_SAMPLE] if cell and cell.strip()]
    numbers = [number for cell in cells if (number := parse_number(cell)) is not None]
    if len(numbers) < 0.8 * max(len(cells), 1) or len(set(numbers)) < 2:
        return False
    counts_up = all(later == earlier + 1 for earlier, later in itertools.pairwise(numbers))
    return not counts_up and max(numbers) <= 100 and min(numbers) >= -1


def _too_few_texts(table: RawTable, filled: list[str], texts: list[str], named: Mapping[str, str]) -> str:
    needed = (
        "Training needs pairs of texts: two text columns (sentence1, sentence2) with a score or label, an anchor and a positive, "
        "or an anchor, a positive and a negative"
    )
    if not filled:
        return f"All columns are empty. {needed}."
    if len(filled) == 1:
        return f"The file has only one column with anything in it, {quoted(filled[0])}. {needed}."
    if len(texts) == 1 and "label" in named:
        classes = len({cell for cell in table.columns[named["label"]] if cell})
        return (
            f"The file holds single texts ({quoted(texts[0])}) with a label ({quoted(named['label'])}, {classes} different ones). {needed}. "
            "Two texts of one label make such a pair."
        )
    found = f"only {quoted(texts[0])} looks like text" if texts else "none looks like text"
    return (
        f"Of the columns {listed(filled)} {found}. {needed}. If two columns do hold texts, say which: `sentence1=…, sentence2=…`."
    )
