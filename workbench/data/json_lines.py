"""JSON Lines, and a JSON file that holds one list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.data.encoding import Encoding


def read_objects(path: Path, encoding: Encoding) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Yield line number and cells of every line that is not blank; None for a line that is no object."""
    with path.open(encoding=encoding.name, errors=encoding.errors) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, _cells(_parse(line))


def read_list(path: Path, encoding: Encoding) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Yield number and cells of every item of a JSON list; a file of JSON Lines is read as such."""
    whole = _parse(path.read_text(encoding=encoding.name, errors=encoding.errors))
    if isinstance(whole, dict):
        # {"data": [...]}: the list is what is meant.
        whole = next((value for value in whole.values() if isinstance(value, list)), None)
    if not isinstance(whole, list):
        yield from read_objects(path, encoding)
        return
    for number, item in enumerate(whole, start=1):
        yield number, _cells(item)


def _parse(text: str) -> Any:
    try:
        # Numbers stay as they are written, so that 4 and 4.400 read the same here as in a CSV.
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (json.JSONDecodeError, RecursionError):
        return None


def _cells(item: Any) -> dict[str, str] | None:
    return {str(key): _text(value) for key, value in item.items()} if isinstance(item, dict) else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
