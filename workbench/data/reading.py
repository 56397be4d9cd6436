"""A file -> one table of text columns, with the number of every row and everything that was noticed on the way."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.data.delimited import Dialect, Record, read_records, sniff_dialect
from workbench.data.encoding import Encoding, detect_encoding
from workbench.data.json_lines import read_list, read_objects
from workbench.data.report import Issues, count_of, name_list, shorten
from workbench.data.vocabulary import KNOWN_NAMES, name_key
from workbench.data.numbers import is_number
from workbench.errors import DataError

CHUNK_ROWS = 20_000
"""Rows held as Python strings at a time; a finished chunk is kept as Arrow text, about as large as in the file."""

_JSON_LINES = frozenset({".jsonl", ".ndjson", ".jsonlines"})


@dataclass
class SourceTable:
    """A file's content, nothing interpreted.

    Attributes:
        frame: Text columns; what is missing is an empty text.
        numbers: For each row of the frame its number in the file.
        encoding: How bytes were read.
        delimiter: What separates columns; None for JSON.
        issues: What was noticed.
        has_header: Whether the columns were named in the file.
    """

    frame: pd.DataFrame
    numbers: np.ndarray
    encoding: str
    delimiter: str | None
    issues: Issues
    has_header: bool = True


def read_table(path: Path) -> SourceTable:
    """Read a file of any of the known formats.

    Raises:
        DataError: If there is no such file, or it cannot be read or is no text.
    """
    if not path.is_file():
        raise DataError(f"There is no file `{path}`; check the path.", field="data")
    try:
        encoding = detect_encoding(path)
        issues = Issues()
        if path.suffix.lower() in _JSON_LINES | {".json"}:
            table = _read_json(path, encoding, issues)
        else:
            table = _read_delimited(path, encoding, issues)
    except OSError as error:
        raise DataError(f"`{path}` cannot be read: {error.strerror or error}.", field="data") from None
    _note_encoding(table, encoding)
    return table


def read_column(path: str | Path, column: str) -> list[str]:
    """Return one column of a file as texts.

    Raises:
        DataError: If the file cannot be read or has no such column.
    """
    table = read_table(Path(path))
    name = find_column(column, list(table.frame.columns))
    if name is None:
        raise DataError(
            f"`{Path(path).name}` has no column `{column}`; it has: {name_list(table.frame.columns)}.", field="column"
        )
    return [str(text) for text in table.frame[name]]


def find_column(wanted: str, columns: list[str]) -> str | None:
    """Return the column that a name means: the very name, else the only one equal to it but for case and spaces."""
    if wanted in columns:
        return wanted
    alike = [column for column in columns if name_key(column) == name_key(wanted)]
    return alike[0] if len(alike) == 1 and name_key(wanted) else None


# --- delimited text ------------------------------------------------------------------------------------------------------


def _read_delimited(path: Path, encoding: Encoding, issues: Issues) -> SourceTable:
    dialect = sniff_dialect(path, encoding)
    records = read_records(path, encoding, dialect)
    start: list[Record] = []
    for record in records:
        if any(cell.strip() for cell in record.cells):
            start.append(record)
        if len(start) == 50:
            break
    if not start:
        issues.add("empty_file", "error", "The file is empty: it has neither a header nor rows.", count=0)
        return SourceTable(pd.DataFrame(), np.zeros(0, np.int64), encoding.name, None, issues)
    header: list[str] | None = start[0].cells
    assert header is not None
    if _looks_like_data(header, [record.cells for record in start[1:]]):
        header = None
    offset = start[0].number if header is not None else -1
    names = _column_names(header, dialect, [record.cells for record in start[1:]], issues)
    body = _chain(start if header is None else start[1:], records)
    frame, numbers = _collect(body, names, offset, issues, dialect)
    if not dialect.quoted:
        issues.add(
            "plain_quotes",
            "note",
            "Quotation marks were read as part of the texts, because they do not come in pairs around cells.",
            count=0,
        )
    return SourceTable(frame, numbers, encoding.name, dialect.delimiter, issues, header is not None)


def _chain(start: list[Record], rest: Iterator[Record]) -> Iterator[Record]:
    yield from start
    yield from rest


def _collect(
    records: Iterable[Record], names: list[str], offset: int, issues: Issues, dialect: Dialect
) -> tuple[pd.DataFrame, np.ndarray]:
    """Gather records in columns and report those of the wrong length."""
    chunks: list[pd.DataFrame] = []
    cells: list[list[str]] = []
    numbers: list[int] = []
    blank: list[int] = []
    short: list[int] = []
    long: list[int] = []
    repaired: list[int] = []
    width = len(names)
    for record in records:
        number, row = record.number - offset, record.cells
        if record.repaired:
            repaired.append(number)
        if not any(cell and not cell.isspace() for cell in row):
            blank.append(number)
            continue
        if len(row) > width:
            if any(cell.strip() for cell in row[width:]):
                long.append(number)
                continue
            row = row[:width]
        elif len(row) < width:
            short.append(number)
            row = row + [""] * (width - len(row))
        cells.append(row)
        numbers.append(number)
        if len(cells) == CHUNK_ROWS:
            chunks.append(_frame(cells, names))
            cells = []
    chunks.append(_frame(cells, names))
    # Blank lines at the very end are how files end.
    last = numbers[-1] if numbers else 0
    blank = [number for number in blank if number < last]
    if blank:
        issues.add("blank_rows", "note", f"{count_of(len(blank), 'blank line')} skipped.", blank)
    if long:
        issues.add(
            "ragged_rows",
            "warning",
            f"{count_of(len(long))} left out: more cells than there are columns ({width}), so it is unclear which cell belongs "
            f"where. A text that contains {_delimiter_words(dialect.delimiter)} must stand in double quotes.",
            long,
        )
    if short:
        issues.add(
            "short_rows",
            "warning",
            f"{count_of(len(short))} with fewer cells than there are columns ({width}); the missing cells were read as empty.",
            short,
        )
    if repaired:
        issues.add(
            "open_quotes",
            "warning",
            f"{count_of(len(repaired))} with a quotation mark that is never closed; the mark was read as part of the text.",
            repaired,
        )
    return pd.concat(chunks, ignore_index=True) if len(chunks) > 1 else chunks[0], np.asarray(numbers, np.int64)


def _frame(cells: list[list[str]], names: list[str]) -> pd.DataFrame:
    columns = zip(*cells, strict=True) if cells else ([] for _ in names)
    return pd.DataFrame({name: pd.Series(list(column), dtype="str") for name, column in zip(names, columns, strict=True)})


def _delimiter_words(delimiter: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}.get(delimiter, f"`{delimiter}`")


# --- names of columns ----------------------------------------------------------------------------------------------------


def _looks_like_data(first: list[str], rows: list[list[str]]) -> bool:
    """Tell whether the first record is a row of data and no header."""
    if len(first) < 2 or any(name_key(cell) in KNOWN_NAMES for cell in first):
        return False
    for place, cell in enumerate(first):
        below = [row[place] for row in rows if place < len(row) and row[place].strip()]
        if is_number(cell) and below and sum(map(is_number, below)) > len(below) / 2:
            return True
    return sum(map(_looks_like_sentence, first)) >= 2


def _looks_like_sentence(cell: str) -> bool:
    text = cell.strip()
    ends = bool(text) and unicodedata.category(text[-1]) == "Po" and len(text) > 5
    return len(text.split()) >= 4 or len(text) > 40 or ends


def _column_names(header: list[str] | None, dialect: Dialect, rows: list[list[str]], issues: Issues) -> list[str]:
    """Return distinct, trimmed names, and report what had to be changed."""
    if header is None:
        names = [f"column{place + 1}" for place in range(dialect.width)]
        issues.add(
            "no_header",
            "warning",
            f"The first row looks like data, so it was not read as column names; the columns are called {name_list(names)}. "
            "If it does name the columns, give them short names such as sentence1, sentence2, score.",
            count=0,
        )
        return names
    header = _fill_header(header, dialect.width, rows)
    return distinct_names(header, issues)


def _fill_header(header: list[str], width: int, rows: list[list[str]]) -> list[str]:
    missing = width - len(header)
    if missing <= 0 or not rows:
        return header
    # Row numbers written without a name above them, as R and some exports do, stand in front.
    numbered = all(row and row[0].strip().isdigit() for row in rows)
    return [""] * missing + header if numbered else header + [""] * missing


def distinct_names(header: list[str], issues: Issues) -> list[str]:
    """Return column names trimmed, filled in and made distinct."""
    names: list[str] = []
    untrimmed: list[str] = []
    unnamed: list[str] = []
    repeated: list[str] = []
    for place, cell in enumerate(header):
        name = re.sub(r"\s+", " ", cell.replace("\ufeff", "")).strip()
        if name != cell and name:
            untrimmed.append(name)
        if not name:
            name = _free_name(f"column{place + 1}", names)
            unnamed.append(name)
        elif name in names:
            name = _free_name(name, names)
            repeated.append(name)
        names.append(name)
    if untrimmed:
        issues.add(
            "header_whitespace",
            "note",
            f"Spaces around column names were removed: {name_list(untrimmed)}.",
            count=len(untrimmed),
        )
    if unnamed:
        issues.add("unnamed_columns", "note", f"Columns without a name were called {name_list(unnamed)}.", count=len(unnamed))
    if repeated:
        issues.add(
            "duplicate_names", "warning", f"Columns with the same name were renamed: {name_list(repeated)}.", count=len(repeated)
        )
    return names


def _free_name(name: str, taken: list[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"


# --- JSON ----------------------------------------------------------------------------------------------------------------


def _read_json(path: Path, encoding: Encoding, issues: Issues) -> SourceTable:
    items = read_list(path, encoding) if path.suffix.lower() == ".json" else read_objects(path, encoding)
    chunks: list[pd.DataFrame] = []
    rows: list[dict[str, str]] = []
    numbers: list[int] = []
    malformed: list[int] = []
    names: dict[str, None] = {}
    for number, cells in items:
        if cells is None:
            malformed.append(number)
            continue
        names.update(dict.fromkeys(cells))
        rows.append(cells)
        numbers.append(number)
        if len(rows) == CHUNK_ROWS:
            chunks.append(_object_frame(rows, names))
            rows = []
    chunks.append(_object_frame(rows, names))
    if malformed:
        issues.add(
            "malformed_lines",
            "warning",
            f"{count_of(len(malformed), 'line')} left out: not a JSON object "
            '(a line must look like {"sentence1": "…", "sentence2": "…"}).',
            malformed,
        )
    if not numbers:
        what = "none of its lines is a JSON object" if malformed else "it has no lines"
        issues.add("empty_file", "error", f"The file holds no rows: {what}.", count=0)
        return SourceTable(pd.DataFrame(), np.zeros(0, np.int64), encoding.name, None, issues)
    frame = pd.concat(chunks, ignore_index=True).fillna("")[list(names)]
    frame.columns = pd.Index(distinct_names(list(names), issues))
    return SourceTable(frame, np.asarray(numbers, np.int64), encoding.name, None, issues)


def _object_frame(rows: list[dict[str, str]], names: Iterable[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([row.get(name, "") for row in rows], dtype="str") for name in names})


def _note_encoding(table: SourceTable, encoding: Encoding) -> None:
    if encoding.name == "cp1252":
        odd = _first_beyond_ascii(table.frame)
        example = f" (for example `{odd}`)" if odd else ""
        table.issues.add(
            "encoding",
            "note",
            f"The file is not UTF-8; it was read as Windows-1252 (cp1252). Check that letters with accents look right{example}.",
            count=0,
        )
    elif encoding.name.startswith("utf-16"):
        table.issues.add("encoding", "note", "The file was read as UTF-16, as some spreadsheet programs save it.", count=0)
    elif encoding.name == "utf-8-sig":
        table.issues.add("encoding", "note", "The file starts with a byte order mark, which is not part of the first column's name.", count=0)
    if encoding.damaged:
        broken = np.zeros(len(table.frame), bool)
        for name in table.frame.columns:
            broken |= table.frame[name].str.contains("\ufffd", regex=False).to_numpy(bool)
        table.issues.add(
            "broken_characters",
            "warning",
            f"Some bytes are not {encoding.name.upper()}; the letters they stood for are shown as \ufffd.",
            table.numbers[broken],
        )


def _first_beyond_ascii(frame: pd.DataFrame) -> str:
    for name in frame.columns:
        for text in frame[name].head(2000):
            if not text.isascii():
                return next(shorten(word, 20) for word in text.split() if not word.isascii())
    return ""
