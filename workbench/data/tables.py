"""A file as a table of text: encoding, delimiter and header found out, nothing dropped in silence."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.data.issues import Issue, issue, listed, quoted, rows_word, short
from workbench.data.vocabulary import is_known_name
from workbench.errors import DataError
from workbench.json_text import load_json

DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_SNIFFED_CHARACTERS = 200_000
_SNIFFED_ROWS = 200
_FIELD_LIMIT = 10_000_000
_SPREADSHEETS = {
    b"PK\x03\x04": "an Excel or LibreOffice workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
}
_BLANK = object()
_HALVES = re.compile("[\ud800-\udfff]")
"""Halves of surrogate pairs: JSON can write them, no encoding can."""
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?%?")


@dataclass
class RawTable:
    """A file's cells as text.

    Attributes:
        columns: Column name -> cells, all of one length; None for a cell that is not there.
        rows: Number of rows.
        encoding: As Python names it.
        delimiter: The character between cells, or `json`.
        numbers: The number of each row in the file, counted from 1 below the header, blank lines included.
        skipped: Rows that could not be read as rows, counted from 0; their cells are None and an issue tells of them.
        issues: What was found while reading.
    """

    columns: dict[str, list[str | None]]
    rows: int
    encoding: str
    delimiter: str
    numbers: list[int]
    skipped: frozenset[int] = frozenset()
    issues: list[Issue] = field(default_factory=list)


def read_table(path: Path) -> RawTable:
    """Read a CSV, TSV or JSON Lines file.

    Raises:
        DataError: If the file is missing, unreadable, empty, or no text table.
    """
    if path.is_dir():
        raise DataError(f"`{path}` is a folder; name a CSV, TSV or JSONL file.", field="data")
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
        if not head:
            raise DataError(f"`{path.name}` is empty; it needs a header and at least eight rows.", field="data")
        for magic, what in _SPREADSHEETS.items():
            if head.startswith(magic):
                raise DataError(f"`{path.name}` is {what}; save it as CSV (UTF-8) and take that file.", field="data")
        encoding = _find_encoding(path, head)
        is_json = path.suffix.lower() in {".jsonl", ".ndjson", ".json"}
        table = _read_json(path, encoding) if is_json else _read_delimited(path, encoding)
    except UnicodeError:
        raise DataError(
            f"`{path.name}` breaks off in the middle of a character; save it again as CSV (UTF-8).", field="data"
        ) from None
    except FileNotFoundError:
        raise DataError(f"There is no file `{path}`.", field="data") from None
    except OSError as error:
        raise DataError(f"`{path}` cannot be read: {error.strerror or error}.", field="data") from None
    if encoding not in {"utf-8", "utf-8-sig"}:
        text = f"The file is not UTF-8; it was read as {encoding}. Look at accented letters in the preview."
        table.issues.append(issue("encoding", "note", text, count=1))
    return table


def read_column(path: str | Path, column: str) -> list[str]:
    """Return the texts of one column; a missing cell is an empty text.

    Raises:
        DataError: If the file cannot be read or has no such column.
    """
    table = read_table(Path(path))
    if column not in table.columns:
        raise DataError(f"`{Path(path).name}` has no column {quoted(column)}; it has: {listed(table.columns)}.", field="column")
    return [cell or "" for cell in table.columns[column]]


def read_lines(path: str | Path) -> list[str]:
    """Return the lines of a text file, in any encoding that tables may have.

    Raises:
        DataError: If the file cannot be read, or holds nothing.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
        with _open(file, _find_encoding(file, head)) as text:
            lines = text.read().splitlines()
    except UnicodeError:
        raise DataError(f"`{file.name}` breaks off in the middle of a character; save it again as UTF-8.", field="texts") from None
    except OSError as error:
        raise DataError(f"`{file}` cannot be read: {error.strerror or error}.", field="texts") from None
    if not lines:
        raise DataError(f"`{file.name}` is empty; it should hold one text per line.", field="texts")
    return lines


def _find_encoding(path: Path, head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                if b"\x00" in block:
                    raise DataError(f"`{path.name}` is no text file; save the table as CSV (UTF-8).", field="data")
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _open(path: Path, encoding: str) -> io.TextIOWrapper:
    # newline="" leaves line ends inside quoted cells alone; cp1252 has five bytes without a character.
    return path.open("r", encoding=encoding, newline="", errors="strict" if encoding != "cp1252" else "replace")


def _read_delimited(path: Path, encoding: str) -> RawTable:
    csv.field_size_limit(_FIELD_LIMIT)
    with _open(path, encoding) as stream:
        sample = stream.read(_SNIFFED_CHARACTERS)
        delimiter = "\t" if path.suffix.lower() == ".tsv" and "\t" in sample else _find_delimiter(sample)
        stream.seek(0)
        rows = _rows(stream, delimiter, path)
        header = next((row for row in rows if row), None)
        if header is None:
            raise DataError(f"`{path.name}` holds only blank lines; it needs a header and at least eight rows.", field="data")
        following = list(itertools.islice(rows, _SNIFFED_ROWS))
        issues: list[Issue] = []
        if _looks_like_data(header, following):
            names = [f"column{index + 1}" for index in range(len(header))]
            text = f"The first row looks like data, so the columns were named {listed(names)}."
            issues.append(issue("no_header", "note", text, count=1))
            following = [header, *following]
        else:
            names = _clean_names(header, issues)
        table = _assemble(names, itertools.chain(following, rows), issues)
    table.encoding, table.delimiter = encoding, delimiter
    if delimiter != "," and path.suffix.lower() != ".tsv":
        table.issues.append(issue("delimiter", "note", f"Cells are separated by a {_NAMES[delimiter]}.", count=1))
    return table


def _rows(stream: io.TextIOWrapper, delimiter: str, path: Path) -> Iterator[list[str]]:
    """Yield the cells of each row, none for a blank one.

    Raises:
        DataError: If a quotation mark is left open, which would swallow the rest of the file.
    """
    marks = 0

    def counted() -> Iterator[str]:
        nonlocal marks
        for line in stream:
            marks += line.count('"')
            yield line

    reader = csv.reader(counted(), delimiter=delimiter)
    started, before = 1, 0
    try:
        for row in reader:
            yield row if any(cell.strip() for cell in row) else []
            if reader.line_num > started and (marks - before) % 2:
                text = f"`{path.name}` has a quotation mark that is opened in line {started} and never closed; close or remove it."
                raise DataError(text, field="data")
            started, before = reader.line_num + 1, marks
    except csv.Error as error:
        text = f"`{path.name}` cannot be read around line {reader.line_num}: {error}. Is a quotation mark left open?"
        raise DataError(text, field="data") from None


def _find_delimiter(sample: str) -> str:
    """Return the delimiter that cuts the sample into the most even rows of at least two cells."""
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in itertools.islice(csv.reader(io.StringIO(sample), delimiter=delimiter), _SNIFFED_ROWS) if row]
        except csv.Error:
            continue
        widths = [len(row) for row in rows]
        usual = max(set(widths), key=widths.count, default=1)
        if usual < 2:
            continue
        # Commas are in sentences, too, so evenness counts before the number of cells; the header row counts most.
        score = widths.count(usual) / len(widths) + (0.5 if widths[0] == usual else 0.0) + 0.001 * min(usual, 20)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _looks_like_data(first: list[str], following: list[list[str]]) -> bool:
    """Return whether the first row is no header: a number above numbers, or a sentence among sentences."""
    if any(is_known_name(cell) for cell in first):
        return False
    following = [row for row in following if row]
    for index, cell in enumerate(first):
        below = [row[index].strip() for row in following if index < len(row) and row[index].strip()]
        if _NUMBER.fullmatch(cell.strip()) and below and all(_NUMBER.fullmatch(value) for value in below[:50]):
            return True
    return all(len(cell.split()) >= 4 or _NUMBER.fullmatch(cell.strip()) for cell in first if cell.strip())


def _clean_names(first: list[str], issues: list[Issue]) -> list[str]:
    names: list[str] = []
    changed = []
    for index, cell in enumerate(first):
        name = " ".join(cell.split()) or f"column{index + 1}"
        unique, number = name, 2
        while unique in names:
            unique, number = f"{name}.{number}", number + 1
        if unique != cell:
            changed.append(f"{quoted(cell)} is now {quoted(unique)}")
        names.append(unique)
    if changed:
        issues.append(
            issue(
                "header_names",
                "note",
                f"Column names were tidied: {'; '.join(changed[:6])}{'; …' if len(changed) > 6 else ''}.",
                count=len(changed),
            )
        )
    return names


def _assemble(names: list[str], rows: Iterator[list[str]], issues: list[Issue]) -> RawTable:
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    lists = list(columns.values())
    numbers: list[int] = []
    skipped: list[int] = []
    short: list[int] = []
    swallowed: list[int] = []
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        if any(cell.strip() for cell in row[len(names) :]):
            skipped.append(len(numbers))
            row = []
        elif len(row) < len(names):
            short.append(number)
        elif any(_holds_rows(cell, len(names)) for cell in row):
            swallowed.append(number)
        for index, cells in enumerate(lists):
            cells.append(row[index] if index < len(row) else None)
        numbers.append(number)
    if skipped:
        text = f"Left out for having more cells than the header (a text with the delimiter in it, not in quotes?): {rows_word(len(skipped))}"
        issues.append(issue("too_many_cells", "warning", text, [numbers[row] for row in skipped]))
    if short:
        text = f"Fewer cells than the header (what is not there counts as empty): {rows_word(len(short))}"
        issues.append(issue("too_few_cells", "warning", text, short))
    if swallowed:
        text = (
            f"A cell that looks like several rows in one pair of quotation marks (is one left open?): {rows_word(len(swallowed))}"
        )
        issues.append(issue("swallowed_rows", "warning", text, swallowed))
    return RawTable(columns, len(numbers), "", "", numbers, frozenset(skipped), issues)


def _holds_rows(cell: str, width: int) -> bool:
    """Return whether a cell's inner lines have as many delimiters as rows have, which prose hardly ever has line after line."""
    lines = cell.splitlines()[1:-1]
    return len(lines) >= 2 and any(all(line.count(delimiter) == width - 1 for line in lines) for delimiter in DELIMITERS)


def _read_json(path: Path, encoding: str) -> RawTable:
    records: list[dict[str, Any]] = []
    numbers: list[int] = []
    malformed: list[int] = []
    lists = False  # whether rows are lists of cells, as the first one says
    with _open(path, encoding) as stream:
        first = stream.read(1)
        stream.seek(0)
        if path.suffix.lower() == ".json" and first == "[":
            try:
                items: Iterator[Any] = iter(load_json(stream.read(), str))
            except ValueError as error:
                raise DataError(f"`{path.name}` is not JSON: {short(str(error), 200)}.", field="data") from None
        else:
            items = (_parse_line(line) for line in stream)
        for number, item in enumerate(items, start=1):
            if item is _BLANK:
                continue
            numbers.append(number)
            if isinstance(item, list) and (number == 1 or lists):
                lists = True
                item = {f"column{index + 1}": value for index, value in enumerate(item)}
            if not isinstance(item, dict):
                malformed.append(len(records))
                item = {}
            records.append(item)
    names = list(dict.fromkeys(key for record in records for key in record))
    if not names:
        text = f'`{path.name}` holds no JSON object; each line should be one, e.g. {{"anchor": "…", "positive": "…"}}.'
        raise DataError(text, field="data")
    cells = {name: [_as_text(record.get(name)) for record in records] for name in names}
    columns: dict[str, list[str | None]] = {}
    halves: set[int] = set()
    for name, column in cells.items():
        halves.update(row for row, cell in enumerate(column) if cell is not None and _HALVES.search(cell))
        unique, number = _HALVES.sub("\ufffd", name), 2
        while unique in columns:
            unique, number = f"{_HALVES.sub(chr(0xFFFD), name)}.{number}", number + 1
        columns[unique] = [None if cell is None else _HALVES.sub("\ufffd", cell) for cell in column]
    issues = []
    if halves:
        text = f"Half of a character, which no text can hold, was read as “\ufffd”: {rows_word(len(halves))}"
        issues.append(issue("half_character", "warning", text, [numbers[row] for row in sorted(halves)]))
    if malformed:
        text = f"Left out for being no JSON object like the others: {rows_word(len(malformed))}"
        issues.append(issue("malformed_line", "warning", text, [numbers[row] for row in malformed]))
    return RawTable(columns, len(records), encoding, "json", numbers, frozenset(malformed), issues)


def _parse_line(line: str) -> Any:
    if not line.strip():
        return _BLANK
    try:
        # A number that is none stays the text it is, and the column's checks say what they think of it.
        return load_json(line, str)
    except ValueError:
        return None


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
