"""CSV, TSV and their relatives: the delimiter is found, records are read with their row numbers.

Python's csv module and not a data frame's parser: it is the one that lets a ragged record be told from a short one, gives
every record its number, and can take up again after a quotation mark that is never closed.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.data.encoding import Encoding

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_RECORDS = 500
_SEPARATOR_LINE = re.compile(r"""^"?sep=(.)"?\s*$""")


@dataclass(frozen=True)
class Dialect:
    """How records are written.

    Attributes:
        delimiter: What separates cells.
        quoted: Whether quotation marks enclose cells; else they are part of the text.
        width: Number of cells of a record.
        skip: Lines before the first record (`sep=;`, as Excel writes it).
    """

    delimiter: str
    quoted: bool
    width: int
    skip: int = 0


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        number: Counted from 0 for the first, blank lines included.
        cells: As they stand in the file.
        repaired: Whether a quotation mark that is never closed was read as a letter.
    """

    number: int
    cells: list[str]
    repaired: bool = False


def sniff_dialect(path: Path, encoding: Encoding) -> Dialect:
    """Return how a file's records are written: the delimiter that gives most records the same number of cells."""
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as stream:
        sample = stream.read(_SAMPLE_CHARACTERS)
        cut = len(sample) == _SAMPLE_CHARACTERS
    lines = sample.splitlines(keepends=True)
    if cut and len(lines) > 1:
        lines.pop()
    declared = _SEPARATOR_LINE.match(lines[0]) if lines else None
    if declared:
        quoted, width, _ = _fit(lines[1:], declared[1])
        return Dialect(declared[1], quoted, width, skip=1)
    best, best_key = Dialect(",", True, 1), (0.0, 0, 0)
    preferred = "\t" if path.suffix.lower() in {".tsv", ".tab"} else ","
    for delimiter in DELIMITERS:
        quoted, width, share = _fit(lines, delimiter)
        key = (round(share, 2), int(delimiter == preferred), width)
        if width > 1 and share > 0.5 and key > best_key:
            best, best_key = Dialect(delimiter, quoted, width), key
    return best


def _fit(lines: list[str], delimiter: str) -> tuple[bool, int, float]:
    """Return whether cells are quoted, how many a record has, and the share of records that have so many."""
    quoted, plain = _widths(lines, delimiter, csv.QUOTE_MINIMAL), _widths(lines, delimiter, csv.QUOTE_NONE)
    width, share = _mode(quoted)
    plain_width, plain_share = _mode(plain)
    # Quotation marks at the start of a text that are only punctuation swallow lines; without quoting all lines fit.
    if plain_width > 1 and plain_share > 0.98 and (len(quoted) < len(plain) or share < plain_share):
        return False, plain_width, plain_share
    return True, width, share


def _widths(lines: list[str], delimiter: str, quoting: int) -> list[int]:
    widths: list[int] = []
    try:
        for record in itertools.islice(csv.reader(lines, delimiter=delimiter, quoting=quoting), _SAMPLE_RECORDS):  # type: ignore[arg-type]
            if any(cell.strip() for cell in record):
                widths.append(len(record))
    except csv.Error:
        widths.append(0)
    return widths


def _mode(widths: list[int]) -> tuple[int, float]:
    if not widths:
        return 1, 0.0
    width, count = Counter(widths).most_common(1)[0]
    # A header with more names than the rows have cells still names the columns.
    return width, count / len(widths)


class _Lines:
    """Lines of a stream that can be put back."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._stream = iter(stream)
        self._pending: deque[str] = deque()
        self.taken: list[str] = []
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._pending:
            line = self._pending.popleft()
        else:
            try:
                line = next(self._stream)
            except StopIteration:
                self.ended = True
                raise
        self.taken.append(line)
        return line

    def put_back(self, lines: list[str]) -> None:
        """Hand these lines out again, before any other."""
        self._pending.extendleft(reversed(lines))


def read_records(path: Path, encoding: Encoding, dialect: Dialect) -> Iterator[Record]:
    """Yield every record of a file; blank lines are records without cells.

    A record that runs over several lines because a quotation mark is never closed is given up: its first line is read with
    the mark as a letter, and reading goes on with the line behind it.
    """
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as stream:
        for _ in range(dialect.skip):
            next(stream)
        lines = _Lines(stream)
        reader = _reader(lines, dialect, dialect.quoted)
        for number in itertools.count():
            lines.taken.clear()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                cells = []
                broken = True
            else:
                broken = len(lines.taken) > 1 and _swallowed(cells, lines, dialect)
            if broken and lines.taken:
                first, *rest = lines.taken
                # Without quotation nothing is too long for one line; a longer text than the reader takes is kept whole.
                cells = first.rstrip("\r\n").split(dialect.delimiter)
                lines.put_back(rest)
                reader = _reader(lines, dialect, dialect.quoted)
            yield Record(number, cells, repaired=broken)


def _reader(lines: Iterable[str], dialect: Dialect, quoted: bool) -> Iterator[list[str]]:
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=dialect.delimiter, quoting=quoting)


def _swallowed(cells: list[str], lines: _Lines, dialect: Dialect) -> bool:
    """Tell whether a record of several lines is one only because a quotation mark is not closed."""
    if lines.ended and sum(line.count('"') for line in lines.taken) % 2:
        return True
    return len(cells) != dialect.width and len(lines.taken[0].rstrip("\r\n").split(dialect.delimiter)) == dialect.width
