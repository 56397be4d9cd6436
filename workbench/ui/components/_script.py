"""Scripts and styles of the components, read from `static` when the page is built."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parents[1] / "static"

PLOTLY_HEAD = '<script src="wb-static/plotly.min.js"></script>'
"""Loaded once, by the first component on an open tab that asks for it."""

SHARED = ("numbers", "charts", "reach")
"""Scripts that components share; they stand in the head of the page."""


def read_script(name: str) -> str:
    """Return a component's script.

    Args:
        name: File name under `static/js`, without `.js`.
    """
    return (STATIC / "js" / f"{name}.js").read_text(encoding="utf-8")


def shared_scripts() -> str:
    """Return the scripts for the head of the page that components share."""
    return "".join(f"<script>{read_script(name)}</script>" for name in SHARED)


def read_style(name: str) -> str:
    """Return a component's style sheet, which Gradio applies to that component only.

    Args:
        name: File name under `static/css`, without `.css`.
    """
    return (STATIC / "css" / f"{name}.css").read_text(encoding="utf-8")
