"""Numbers as people write them: 4.4, 4,4, +1, 1e-3."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

_POINT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = re.compile(rf"\s*(?:{_POINT}|[+-]?\d+,\d+|[+-]?,\d+)\s*")


def is_number(text: str) -> bool:
    """Tell whether a text is one finite number, with a decimal point or a decimal comma."""
    return _NUMBER.fullmatch(text.replace("\u2212", "-")) is not None


def parse_numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Read a column of texts as numbers.

    Returns:
        The numbers, NaN where there is none; and a mask of those written with a decimal comma.
    """
    cleaned = column.str.strip().str.replace("\u2212", "-", regex=False)
    comma = cleaned.str.contains(",", regex=False).to_numpy(bool)
    unique = pd.unique(cleaned)
    values = {text: float(text.replace(",", ".")) if is_number(text) else np.nan for text in unique}
    numbers = cleaned.map(values).to_numpy(np.float64)
    return numbers, comma & ~np.isnan(numbers)
