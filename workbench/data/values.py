"""Numbers as people write them, and the scale that scores are on."""

from __future__ import annotations

import math
import re

from workbench.errors import ConfigError

_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")

Scale = tuple[float, float]


def check_scale(scale: Scale | None) -> Scale | None:
    """Return a score scale as it was named.

    Raises:
        ConfigError: If its ends are no numbers, or not one below the other.
    """
    # The width counts too: of two large numbers it may be infinite.
    if scale is not None and not (scale[0] < scale[1] and math.isfinite(scale[1] - scale[0])):
        low, high = scale
        raise ConfigError(
            f"A score scale must go from a number to a larger one, e.g. 1-5, got {low:g} to {high:g}.", field="score_scale"
        )
    return scale


def parse_number(text: str) -> float | None:
    """Return the number a cell holds, with a point or a comma before the decimals; None if it is none."""
    text = text.strip()
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def has_decimal_comma(text: str) -> bool:
    """Return whether a cell is a number with a comma before the decimals."""
    return bool(_DECIMAL_COMMA.fullmatch(text.strip()))


def find_scale(lowest: float, highest: float) -> tuple[Scale | None, str]:
    """Return the scale that scores between two extremes are on.

    Args:
        lowest: Smallest score seen.
        highest: Largest score seen.

    Returns:
        The scale and "", or None and the scales it could be, as text (empty where no usual scale fits).
    """
    if lowest < -1:
        return None, ""
    if lowest < 0:
        return ((-1.0, 1.0), "") if highest <= 1 else (None, "")
    if highest <= 1:
        return (0.0, 1.0), ""
    if highest > 100:
        return None, ""
    if highest > 10:
        return (0.0, 100.0), ""
    if lowest < 1:
        # Something below 1 was seen, so the scale starts at 0; whether it ends at 5 or 10 shows in the upper half only.
        if highest > 5:
            return (0.0, 10.0), ""
        if highest > 4:
            return (0.0, 5.0), ""
        return None, "0-4 or 0-5" if highest > 3 else "0-2, 0-3, 0-4 or 0-5" if highest <= 2 else "0-3, 0-4 or 0-5"
    if highest <= 5:
        return None, "1-5 or 0-5"
    if highest <= 7:
        return None, "1-7, 1-10 or 0-10"
    return None, "1-10 or 0-10"
