"""What a dry pass found: a table of the layers, what to change, and the rows with their cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.ui.components._script import read_script, read_style

if TYPE_CHECKING:
    from workbench.playground import DryPass

State = Literal["idle", "waiting", "error"]


def create_dry_pass(words: str, *, elem_id: str) -> gr.HTML:
    """Return the component.

    Its property `result` is what it shows; `line` is the command line of the stack on the page, which may have changed since.
    Not `value`: Gradio writes a part's old value back with each change of another property, over one that has just come.

    Args:
        words: What it says before the first pass.
        elem_id: Id of the element.
    """
    return gr.HTML(
        result=dry_pass_words("idle", words),
        html_template='<section class="wb-dry" aria-label="Dry pass" data-state="idle"></section>',
        css_template=read_style("dry_pass"),
        js_on_load=read_script("dry_pass"),
        apply_default_css=False,
        elem_id=elem_id,
        line="",
    )


def dry_pass_words(state: State, words: str) -> dict[str, Any]:
    """Return what the component shows while there is no result.

    Args:
        state: Why there is none.
        words: The same for the user.
    """
    return {"state": state, "words": words}


def dry_pass_value(result: DryPass, source: str, line: str) -> dict[str, Any]:
    """Return what the component shows of a result.

    Args:
        result: What came out.
        source: Where the rows are from, in one sentence.
        line: Command line of the stack.
    """
    findings = result.findings
    worst = findings[0].severity if findings else "good"
    words = {
        "error": "This network cannot learn as it is.",
        "warning": "The network works; something is worth a look.",
        "note": "The network works.",
        "good": "The network works, and nothing looks wrong: all numbers are finite, texts get different vectors, none is cut off, and the encoder knows their tokens.",
    }[worst]
    data = result.to_dict()
    return {
        "state": "done",
        "worst": worst,
        "words": f"{words} {source} {result.seconds:.1f} s.",
        "line": line,
        "layers": [{**layer, "shape_words": shape_words(layer["port"], layer["shape"])} for layer in data["layers"]],
        **{name: data[name] for name in ("findings", "texts", "pairs")},
    }


def shape_words(port: str, shape: tuple[int, ...]) -> str:
    """Return a shape as people read it."""
    if port == "tokens":
        return f"{shape[0]} different texts × up to {shape[1]} tokens × {shape[2]:,}"
    return f"{shape[0]} different texts × {shape[1]:,}"
