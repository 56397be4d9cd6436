"""What the playground showed before a reload. The browser tab keeps it, so several tabs do not disturb each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from workbench.ui.components._script import read_script

KEPT_FIELDS = (
    "first",
    "second",
    "chosen",
    "view",
    "texts",
    "source",
    "column",
    "label",
    "pair_first",
    "pair_second",
    "query",
    "k",
    "method",
)
"""Components of the page whose values are kept, in the order in which `keep_script` hands them on."""


@dataclass(frozen=True)
class Kept:
    """What was shown.

    Attributes:
        first: One model.
        second: The other.
        chosen: "yes" where someone chose the models, empty where they are those that the page offers by itself.
        view: Which view was open.
        texts: What was in the text box.
        source: Where the texts came from, see `read_collection`.
        column: The file's column with the texts.
        label: The file's column with labels.
        pair_first: First text of the pair view.
        pair_second: The other.
        query: What was searched for.
        k: How many results.
        method: How the map was drawn.
        asked: Views that had an answer.
    """

    first: str = ""
    second: str = ""
    chosen: str = ""
    view: str = ""
    texts: str = ""
    source: str = ""
    column: str = ""
    label: str = ""
    pair_first: str = ""
    pair_second: str = ""
    query: str = ""
    k: int = 10
    method: str = ""
    asked: tuple[str, ...] = ()


def read_kept(wanted: str | None) -> Kept | None:
    """Read what a page begins with.

    Args:
        wanted: What the browser returns: what it kept, as JSON, or the id of a link's examples, or nothing.

    Returns:
        None where nothing was kept.
    """
    if not wanted or not wanted.startswith("{"):
        return None
    try:
        data: Mapping[str, Any] = json.loads(wanted)
    except ValueError:
        return None
    k, asked = data.get("k"), data.get("asked")
    texts = {item.name: str(data.get(item.name) or "") for item in fields(Kept) if item.name not in ("k", "asked")}
    return Kept(
        **texts,
        k=int(k) if isinstance(k, int | float) else Kept.k,
        asked=tuple(str(view) for view in asked) if isinstance(asked, list) else (),
    )


def kept_script() -> str:
    """Return the script for the head of the page; it reads the address before Gradio starts, which writes it again."""
    return f"<script>{read_script('playground_kept')}</script>"


def keep_script(view: str = "") -> str:
    """Return what keeps the values of `KEPT_FIELDS`.

    Args:
        view: A view that is being asked; empty for none.
    """
    return f"(...values) => window.workbenchPlayground.keep({json.dumps(KEPT_FIELDS)}, values, {json.dumps(view)})"
