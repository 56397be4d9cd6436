"""Which encoding a file is in, told from its bytes."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import DataError

_BLOCK = 1 << 20

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive; open it and save the sheet as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; open it and save the sheet as CSV (UTF-8)"),
    (b"PAR1", "a Parquet file; save it as CSV or JSONL"),
    (b"\x1f\x8b", "compressed; unpack it first"),
    (b"%PDF", "a PDF; copy its table into a spreadsheet and save that as CSV (UTF-8)"),
    (b"SQLite format 3", "a database; export the table as CSV"),
)


@dataclass(frozen=True)
class Encoding:
    """How to read the bytes of a file.

    Attributes:
        name: A codec's name.
        damaged: Whether some bytes are none of this encoding; they are read as the replacement character.
    """

    name: str
    damaged: bool = False

    @property
    def errors(self) -> str:
        """What a decoder does with bytes it cannot read."""
        return "replace" if self.damaged else "strict"


def detect_encoding(path: Path) -> Encoding:
    """Return the encoding of a file: by its byte order mark, else UTF-8 if all of it is, else Windows-1252.

    Raises:
        DataError: If the file cannot be read or is no text.
    """
    with path.open("rb") as stream:
        start = stream.read(4096)
    for signature, what in _SIGNATURES:
        if start.startswith(signature):
            raise DataError(f"`{path.name}` is not a text file but {what}.", field="data")
    if start.startswith(codecs.BOM_UTF8):
        return _checked(path, "utf-8-sig")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(path, "utf-16")
    if start.count(b"\0") > len(start) // 8:
        # Text in UTF-16 without a mark has a zero in every other byte, wherever it is mostly Latin.
        even, odd = start[::2].count(b"\0"), start[1::2].count(b"\0")
        if max(even, odd) > 4 * min(even, odd):
            return _checked(path, "utf-16-be" if even > odd else "utf-16-le")
        raise DataError(f"`{path.name}` is not a text file; save the table as CSV (UTF-8) or JSONL.", field="data")
    bad, good = _count_utf8(path)
    if bad == 0:
        return Encoding("utf-8")
    # A few broken bytes among many good ones: as Windows-1252 every good one would turn into two wrong letters.
    if bad * 10 <= good:
        return Encoding("utf-8", damaged=True)
    return _checked(path, "cp1252")


def _checked(path: Path, name: str) -> Encoding:
    try:
        with path.open(encoding=name, newline="") as stream:
            while stream.read(_BLOCK):
                pass
    except UnicodeError:
        return Encoding(name, damaged=True)
    return Encoding(name)


def _count_utf8(path: Path) -> tuple[int, int]:
    """Return how many places are no UTF-8, and how many letters beyond ASCII are."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    bad = good = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            text = decoder.decode(block)
            if not text.isascii():
                broken = text.count("\ufffd")
                bad += broken
                good += sum(character > "\x7f" for character in text) - broken
        bad += decoder.decode(b"", final=True).count("\ufffd")
    # A file may hold the replacement character itself, as the trace of an earlier accident; that is UTF-8.
    if bad:
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                while stream.read(_BLOCK):
                    pass
        except UnicodeError:
            return bad, good
    return 0, good
