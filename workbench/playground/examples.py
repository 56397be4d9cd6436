"""Example sets that a link opens again: texts, models, view and settings, kept under the home by a name made of what they hold."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from workbench.errors import InputError

FOLDER = "examples"
LARGEST = 8 << 20
"""Bytes of a set; ten thousand lines are well below."""

_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class ExampleSet:
    """What the playground shows.

    Attributes:
        first: One model.
        second: The other.
        view: Which view is open.
        texts: The texts.
        labels: A label for each text, or none at all.
        name: Where the texts come from, empty for typed ones.
        pair: The two texts of the pair view.
        query: What is searched for.
        k: How many results.
        method: How the map is drawn.
    """

    first: str = ""
    second: str = ""
    view: str = "matrix"
    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    name: str = ""
    pair: tuple[str, str] = ("", "")
    query: str = ""
    k: int = 10
    method: str = "pca"


def save_examples(examples: ExampleSet, home: Path) -> str:
    """Store a set and return its id; the same set always has the same one.

    Raises:
        InputError: If it is too large, or the home cannot be written.
    """
    text = json.dumps(asdict(examples), ensure_ascii=False, sort_keys=True)
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > LARGEST:
        raise InputError(
            f"The examples take {len(data) / 1e6:.0f} MB; a link can hold {LARGEST / 1e6:.0f} MB, so use fewer texts.", "texts"
        )
    name = hashlib.sha256(data).hexdigest()[:16]
    path = _path(name, home)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Put in place as a whole, so that a link never opens half a set.
        draft = path.with_suffix(".part")
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        raise InputError(f"The examples cannot be stored under `{home}` ({error.strerror or error}).", "texts") from None
    return name


def open_examples(name: str, home: Path) -> ExampleSet:
    """Return the set of an id.

    Raises:
        InputError: If there is none, or it cannot be read.
    """
    if not _ID.fullmatch(name):
        raise InputError(f"{name!r} names no examples; a link to some ends with `set=` and 16 digits or letters a to f.", "set")
    try:
        values = json.loads(_path(name, home).read_bytes().decode("utf-8", "surrogatepass"))
    except FileNotFoundError:
        raise InputError("The examples of this link are not on this machine.", "set") from None
    except (OSError, ValueError):
        raise InputError("The examples of this link cannot be read any more.", "set") from None
    return _from_dict(values)


def _from_dict(values: Mapping[str, Any]) -> ExampleSet:
    known = {item.name for item in fields(ExampleSet)}
    held: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known
    }
    return ExampleSet(**held)


def _path(name: str, home: Path) -> Path:
    return home / FOLDER / f"{name}.json"
