"""Numbers as people read them: one minus sign, and none before a zero."""

from __future__ import annotations

MINUS = "\u2212"


def decimal(value: float, places: int) -> str:
    """Return a number to some places after the point."""
    text = f"{value:.{places}f}"
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.") else MINUS + text[1:]
    return text


def signed(value: float, places: int) -> str:
    """Return a difference to some places after the point, with its sign."""
    text = decimal(value, places)
    return f"+{text}" if text.strip("0.") and not text.startswith(MINUS) else text
