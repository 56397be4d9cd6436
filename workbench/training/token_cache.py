"""Tokens on the disk: written once, memory-mapped by every run that trains on the same texts with the same tokenizer.

`tokens/KEY/` under the home holds one file an array and `meta.json` with their digests, all there at once or not at all. Deleting any
of it costs the next run the time to tokenise again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RunError

TOKENS_FOLDER = "tokens"
KEPT_BYTES = 8 * 2**30
"""What the cache may hold; a million pairs of ten words take some 130 MB. Beyond it, what was used longest ago goes."""

_META = "meta.json"
_DRAFT = ".new-"
_ABANDONED_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class TokenArrays:
    """The arrays of a tokenised data set, each a file of bare numbers.

    Attributes:
        pieces: Tokens of all texts, one after the other, int32 (pieces,).
        starts: Where each sequence begins in them, int64 (sequences,).
        lengths: How many tokens it has, int64 (sequences,).
        columns: Number of the sequence for each text, column after column, int64 (texts,).
        truncated: Number of distinct texts that were cut off, int64 (1,).
    """

    pieces: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    columns: NDArray[np.int64]
    truncated: NDArray[np.int64]

    @staticmethod
    def path(folder: Path, name: str) -> Path:
        """Return the file of an array."""
        return folder / f"{name}.bin"


def read_arrays(folder: Path, mapped: bool = True) -> TokenArrays:
    """Return the arrays in a folder.

    Args:
        folder: Where they lie.
        mapped: Whether they stay on the disk and are read where they are looked at.
    """

    def read(name: str) -> NDArray[Any]:
        path, dtype = TokenArrays.path(folder, name), np.int32 if name == "pieces" else np.int64
        if mapped and path.stat().st_size:  # a file without a byte cannot be mapped
            return np.asarray(np.memmap(path, dtype, mode="r"))
        return np.fromfile(path, dtype)

    return TokenArrays(**{item.name: read(item.name) for item in fields(TokenArrays)})


class TokenCache:
    """The token arrays under a home.

    Args:
        home: The workbench's home.
        kept_bytes: What may stay.
    """

    def __init__(self, home: Path, kept_bytes: int = KEPT_BYTES) -> None:
        self._folder = home / TOKENS_FOLDER
        self._kept_bytes = kept_bytes

    def get(self, key: str, make: Callable[[Path], None]) -> tuple[TokenArrays, bool]:
        """Return the arrays of a key and whether they were there; what is damaged is made again.

        Args:
            key: Names the texts and the tokenizer.
            make: Writes the arrays into a folder.

        Raises:
            RunError: If they cannot be written.
        """
        folder = self._folder / key
        if _is_whole(folder):
            os.utime(folder)  # used last
            return read_arrays(folder), True
        try:
            shutil.rmtree(folder, ignore_errors=True)
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self._folder))
            try:
                make(draft)
                _seal(draft)
                try:
                    draft.rename(folder)
                except OSError as error:  # another run has made the same in the meantime, which is as good
                    if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                        raise
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            arrays = read_arrays(folder)
        except OSError as error:
            raise RunError(
                f"The tokens of the texts cannot be stored under `{self._folder}`: {error.strerror or error}; free some space there."
            ) from None
        self._prune(folder)
        return arrays, False

    def sizes(self) -> dict[str, int]:
        """Return the bytes that each key takes."""
        if not self._folder.is_dir():
            return {}
        return {folder.name: _bytes(folder) for folder in self._folder.iterdir() if not folder.name.startswith(_DRAFT)}

    def _prune(self, current: Path) -> None:
        """Remove what was used longest ago until the rest is small enough, and what a run left half written that was ended."""
        ages = {}
        for folder in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another run prunes too
                ages[folder] = folder.stat().st_mtime
        room = self._kept_bytes - _bytes(current)
        for folder in sorted(ages, key=lambda folder: -ages[folder]):
            if folder.name.startswith(_DRAFT):
                keep = time.time() - ages[folder] < _ABANDONED_SECONDS
            else:
                room -= 0 if folder == current else _bytes(folder)
                keep = folder == current or room >= 0
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)


def _seal(folder: Path) -> None:
    digests = {item.name: _digest(TokenArrays.path(folder, item.name)) for item in fields(TokenArrays)}
    (folder / _META).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def _is_whole(folder: Path) -> bool:
    """Return whether a folder holds every array just as it was written."""
    try:
        digests = json.loads((folder / _META).read_text(encoding="utf-8"))
        return all(digests[item.name] == _digest(TokenArrays.path(folder, item.name)) for item in fields(TokenArrays))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()


def _bytes(folder: Path) -> int:
    total = 0
    with suppress(FileNotFoundError):
        total = sum(file.stat().st_size for file in folder.iterdir())
    return total
