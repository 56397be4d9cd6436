"""JSON in and out: what is written holds no NaN, what is read may be broken in any way and gives a ValueError for it."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, NoReturn


def finite(value: Any) -> Any:
    """Return JSON data in which NaN and infinity are None: JSON has no word for them, and browsers refuse the whole document."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, numbers.Real) and not math.isfinite(value):
        return None
    return value


def dump_json(value: Any, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return a value as JSON text; numbers that are not finite become null.

    Args:
        value: Plain data.
        indent: Spaces a level; None for one line.
        sort_keys: Whether the keys of objects are sorted.
    """
    # Half of a surrogate pair, which no text file can hold, is written as its escape; all other characters as they are.
    text = json.dumps(finite(value), indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    return text if text.isascii() else "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)


def load_json(text: str | bytes, not_finite: Callable[[str], Any] | None = None) -> Any:
    """Return what a JSON text says.

    Args:
        text: The document.
        not_finite: What stands for a number that is none (NaN, Infinity, 1e999), given as it is written; None refuses it.

    Raises:
        ValueError: If it is no JSON, is nested deeper than can be read, or holds a number that is refused.
    """
    other = _refuse if not_finite is None else not_finite

    def read(number: str) -> Any:
        value = float(number)
        return value if math.isfinite(value) else other(number)

    try:
        return json.loads(text, parse_constant=other, parse_float=read)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"it holds {number}, which is no finite number")
