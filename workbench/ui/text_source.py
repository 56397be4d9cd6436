"""The texts that the playground looks at: typed, from a column of a file, or from a link's example set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.errors import DataError, InputError
from workbench.ui.context import Context
from workbench.ui.uploads import upload_name, upload_path

SET_PREFIX = "set:"
"""Before the id of an example set, as a source of texts."""

NO_LABEL = "none"
MOST_TEXTS = 50_000
_TEXT_COLUMN = "line"
_LOOKED_AT = 200  # cells of a column, to guess what it holds
_MOST_LABELS = 30
_LABEL_NAMES = frozenset({"label", "class", "category", "topic", "intent", "group"})


@dataclass(frozen=True)
class Collection:
    """Different, non-empty texts.

    Attributes:
        texts: In the order they came.
        labels: A label for each, or none at all.
        name: Where they come from; empty for typed ones.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    name: str = ""

    def first(self, most: int) -> Collection:
        """Return the first so many."""
        return Collection(self.texts[:most], self.labels[:most], self.name)


def read_collection(context: Context, typed: str | None, source: str, column: str | None, label: str | None) -> Collection:
    """Return the texts that are chosen on the page.

    Args:
        context: The server's context.
        typed: What is in the text box.
        source: Token of an uploaded file, or `set:ID`; empty for the text box.
        column: The file's column with the texts.
        label: The file's column with labels, or `NO_LABEL`.

    Raises:
        InputError: If there are no texts or too many, or the file is gone or has no such column.
    """
    if source.startswith(SET_PREFIX):
        from workbench.playground import open_examples

        saved = open_examples(source.removeprefix(SET_PREFIX), context.home)
        return Collection(saved.texts, saved.labels, saved.name)
    if not source:
        collection = _typed(typed or "")
    else:
        columns = read_columns(upload_path(source, context.home))
        name = upload_name(source, context.home)
        if not column or column not in columns:
            raise DataError(f"`{name}` has no column {column!r}; choose one of {', '.join(columns)}.", field="column")
        labelled = label and label != NO_LABEL and label in columns
        collection = _distinct(columns[column], columns[label] if labelled and label else [], f"{name}, column {column}")
    if len(collection.texts) > MOST_TEXTS:
        raise InputError(
            f"At most {MOST_TEXTS:,} texts can be looked at, got {len(collection.texts):,}; take fewer.", field="texts"
        )
    return collection


def _typed(text: str) -> Collection:
    """Return the texts of the text box; blank lines between them make groups, whose numbers are their labels."""
    lines: list[str] = []
    labels: list[str] = []
    group, gap = 1, False
    for line in text.splitlines():
        if not line.strip():
            gap = True
            continue
        group += gap and bool(lines)
        gap = False
        lines.append(line)
        labels.append(f"group {group}")
    found = _distinct(lines, labels, "")
    # A group of one says nothing, and one of all neither.
    return found if 1 < len(set(found.labels)) < len(found.texts) else Collection(found.texts)


def typed_text(collection: Collection) -> str:
    """Return texts as they would be typed: one per line, a blank line between groups."""
    lines: list[str] = []
    labels = collection.labels or ("",) * len(collection.texts)
    for place, text in enumerate(collection.texts):
        if place and labels[place] != labels[place - 1]:
            lines.append("")
        lines.append(text)
    return "\n".join(lines)


def read_columns(path: Path) -> dict[str, list[str]]:
    """Return the columns of a file as text; a plain text file has one, with one text per line.

    Raises:
        DataError: If the file cannot be read.
    """
    from workbench.data import read_lines, read_table

    if path.suffix.lower() == ".txt":
        return {_TEXT_COLUMN: read_lines(path)}
    return {name: [cell or "" for cell in cells] for name, cells in read_table(path).columns.items()}


def guess_columns(columns: dict[str, list[str]]) -> tuple[str, str]:
    """Return the first column that looks like texts (about as long as the longest), and one like labels, or `NO_LABEL`.

    Labels are few and repeat; numbers are rather scores, unless the column's name says that they are labels.
    """
    lengths = {name: sum(map(len, cells[:_LOOKED_AT])) / max(1, len(cells[:_LOOKED_AT])) for name, cells in columns.items()}
    text = next(name for name, length in lengths.items() if length >= 0.7 * max(lengths.values()))
    for name, cells in columns.items():
        different = {cell.strip() for cell in cells}
        named = name.strip().lower() in _LABEL_NAMES
        words = not all(_is_number(value) for value in different)
        if name != text and (named or words) and 2 <= len(different) <= max(2, min(_MOST_LABELS, len(cells) // 3)):
            return text, name
    return text, NO_LABEL


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ".") or "0")
    except ValueError:
        return False
    return True


def _distinct(texts: list[str], labels: list[str], name: str) -> Collection:
    found: dict[str, str] = {}
    for index, text in enumerate(texts):
        line = " ".join(text.split())
        if line:
            found.setdefault(line, labels[index].strip() if labels else "")
    return Collection(tuple(found), tuple(found.values()) if labels else (), name)
