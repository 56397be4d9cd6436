"""Uploaded files, kept under the home from the upload until they are imported.

A file is stored under a random name; the name it came with is data and never part of a path.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

import workbench
from workbench.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".txt")
SAMPLE = "sample"
"""Stands for the data set that ships with the workbench."""

SAMPLE_DATA = Path(workbench.__file__).parents[1] / "sample_data"
SAMPLE_FILE = SAMPLE_DATA / "support_pairs.csv"
SAMPLE_TEST_FILE = SAMPLE_DATA / "support_pairs_heldout.csv"

NAME_FILE = "name.json"
"""Written last: an upload without it was cut off."""

CACHE_FOLDER = "cache"
"""Where Gradio keeps what it is sent and what it offers, under the home."""

KEPT_SECONDS = 24 * 3600.0

_TOKEN = re.compile(r"[0-9a-f]{32}")


def store_upload(path: str | Path, home: Path) -> str:
    """Copy a file under the home.

    Args:
        path: Where Gradio put it.
        home: Folder of the workbench.

    Returns:
        A token that stands for the file.

    Raises:
        DataError: If its name does not end like a table, or it cannot be read.
    """
    source = Path(path)
    suffix = source.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"`{source.name}` is no CSV, TSV or JSONL file; its name must end with one of {', '.join(SUFFIXES)}.", field="data"
        )
    token = secrets.token_hex(16)
    folder = home / "uploads" / token
    try:
        folder.mkdir(parents=True)
        shutil.copyfile(source, folder / f"data{suffix}")
        (folder / NAME_FILE).write_text(json.dumps({"name": source.name}), encoding="utf-8")
    except OSError as error:
        raise DataError(f"`{source.name}` cannot be stored under `{home}` ({error.strerror}).", field="data") from None
    return token


def upload_path(token: str, home: Path) -> Path:
    """Return the file a token stands for.

    Raises:
        DataError: If there is none (any more).
    """
    if token == SAMPLE:
        return SAMPLE_FILE
    if _TOKEN.fullmatch(token):
        for found in (home / "uploads" / token).glob("data.*"):
            return found
    raise DataError("The uploaded file is gone from the server; please upload it again.", field="data")


def upload_name(token: str, home: Path) -> str:
    """Return the name a file came with."""
    if token == SAMPLE:
        return SAMPLE_FILE.name
    path = upload_path(token, home)
    return str(json.loads((path.parent / NAME_FILE).read_text(encoding="utf-8"))["name"])


def delete_upload(token: str, home: Path) -> None:
    """Remove an uploaded file once it is imported."""
    if _TOKEN.fullmatch(token):
        shutil.rmtree(home / "uploads" / token, ignore_errors=True)


def prune_uploads(home: Path) -> None:
    """Remove uploads of earlier days that were never imported."""
    folder = home / "uploads"
    if folder.is_dir():
        for upload in folder.iterdir():
            if _TOKEN.fullmatch(upload.name) and time.time() - upload.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(upload, ignore_errors=True)


def clear_leftovers(home: Path) -> None:
    """Remove what a server that died has left: everything in Gradio's folder, and uploads that were cut off.

    To be called only while no other server uses the home. Nothing is followed out of it.
    """
    for leftover in _entries(home / CACHE_FOLDER):
        _remove(leftover)
    for upload in _entries(home / "uploads"):
        if _TOKEN.fullmatch(upload.name) and not (upload / NAME_FILE).is_file():
            _remove(upload)


def _entries(folder: Path) -> list[Path]:
    if folder.is_symlink():
        return []
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
