"""The layer stack: the network as blocks that are added, edited, moved and removed on the page.

The browser owns the document `{epoch, rev, base, saved, layers: [{id, kind, params}]}`. Every edit changes it at once; one
snapshot at a time goes to Python, as `value`, which answers with `ack`: widths, counts and errors for that `rev`. Python never
writes the document on an edit; it replaces it by `news`, with a higher `epoch`, when another base or preset is chosen.

Python writes no `value`, for Gradio writes the old one back with each change of another property; and `ack` and `news` are two,
because answers of one moment overwrite each other where they write the same one.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from workbench.errors import ConfigError
from workbench.recipe import LAYERS, ArchitectureSpec, EncoderInfo, LayerEntry, LayerSpec, LayerState, Parameter
from workbench.recipe.architecture import BYTES_PER_NUMBER
from workbench.recipe.layers import PORT_WORDS
from workbench.ui.components._script import read_script, read_style

MAX_LAYERS = 64
"""More blocks than this are a defect of a script, not a network."""

LONGEST_TEXT = 200
"""Characters kept of a value that someone typed."""

LARGEST_WHOLE = 2**53
"""Beyond it a script cannot count in ones."""

_answers = itertools.count(1)

_ID = re.compile(r"[\w-]{1,40}", re.ASCII)


def create_layer_stack(*, elem_id: str) -> gr.HTML:
    """Return the component; its value is the document, its property `ack` the answer, `news` a document that takes its place.

    Its events are `edit`, `look` when the user comes back from another window, and what shall replace the stack: `preset` with
    the `number` of a preset from 1, `own` for the base's own layers, and `base` with the `name` of another. All but `look` are
    asked one after the other, each when the one before is answered; `request_script` asks for a replacement.

    Args:
        elem_id: Id of the element; ids of its fields begin with it.
    """
    return gr.HTML(
        value=None,
        html_template='<section class="wb-stack" aria-label="Layers of the network" data-state="loading"></section>',
        css_template=read_style("layer_stack"),
        js_on_load=read_script("layer_stack"),
        apply_default_css=False,
        elem_id=elem_id,
        prefix=elem_id,
        kinds=describe_kinds(),
        ack=None,
        news=None,
    )


def request_script(event: str, argument: str, *, elem_id: str) -> str:
    """Return a function for the `js` of a Gradio event that asks the stack for a replacement by its input.

    Args:
        event: An event of the stack.
        argument: Name of the input in the event's data.
        elem_id: Id of the stack's element.
    """
    detail = f"{{ event: '{event}', data: {{ {argument} }} }}"
    return f"({argument}) => {{ document.dispatchEvent(new CustomEvent('{elem_id}:replace', {{ detail: {detail} }})); }}"


def describe_kinds() -> list[dict[str, Any]]:
    """Return the table of layers as the script needs it."""
    return [
        {
            "kind": entry.kind,
            "title": entry.title,
            "help": entry.help,
            "ports": port_names(entry),
            "parameters": [_describe_parameter(parameter) for parameter in entry.parameters],
        }
        for entry in LAYERS.values()
    ]


def port_names(entry: LayerEntry) -> list[str]:
    """Return what goes in and what comes out of a layer; one that takes text makes tokens of it on the way."""
    consumed, produced = (PORT_WORDS[port].removeprefix("a ") for port in (entry.consumes, entry.produces))
    return [consumed, "tokens", produced] if entry.consumes == "text" else [consumed, produced]


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return {
        "name": parameter.name,
        "label": parameter.name.replace("_", " ").capitalize(),
        "type": parameter.type,
        "default": default,
        "help": parameter.help,
        "choices": list(parameter.choices),
        "optional": parameter.optional,
        "unit": parameter.unit,
        "habitual": parameter.habitual,
    }


@dataclass(frozen=True)
class Block:
    """One block of the page.

    Attributes:
        id: Stays with the block while it is edited and moved.
        spec: The layer, with defaults where a value cannot be used.
        problems: Parameter name -> why its value cannot be used.
    """

    id: str
    spec: LayerSpec
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """What the browser sent, after everything unknown has been dropped.

    Attributes:
        epoch: Rises when Python replaces the document.
        rev: Rises with every edit.
        base: Base encoder the stack was built on.
        saved: The command line of the draft when it was last saved from this page, or loaded into it.
        blocks: The encoder first.
        window: Tells the windows apart that edit one draft.
        ask: Number of the question; the answer bears it too.
    """

    epoch: int
    rev: int
    base: str
    saved: str
    blocks: tuple[Block, ...]
    window: str = ""
    ask: int = 0

    @property
    def architecture(self) -> ArchitectureSpec:
        """The layers, with defaults where a value cannot be used."""
        return ArchitectureSpec(tuple(block.spec for block in self.blocks))

    @property
    def complete(self) -> bool:
        """Whether every value can be used, so that the architecture is what the page shows."""
        return not any(block.problems for block in self.blocks)


def read_document(value: Any) -> Document:
    """Return what the browser sent in a form that can be trusted; nothing raises.

    Unknown kinds and parameters are dropped, missing ones filled in, a transformer put first and kept nowhere else. A value
    that cannot be used is replaced by the default and named in the block's `problems`.

    Args:
        value: The component's value.
    """
    value = value if isinstance(value, Mapping) else {}
    items = value.get("layers")
    blocks: list[Block] = []
    seen: set[str] = set()
    for item in items[:MAX_LAYERS] if isinstance(items, list) else []:
        block = _read_block(item, seen)
        if block is not None and (block.spec.kind == "transformer") == (not blocks):
            blocks.append(block)
            seen.add(block.id)
        elif block is not None and not blocks:
            blocks += [Block("encoder", LayerSpec("transformer")), block]
            seen.update(("encoder", block.id))
    if not blocks:
        blocks.append(Block("encoder", LayerSpec("transformer")))
    return Document(
        _whole(value.get("epoch")),
        _whole(value.get("rev")),
        _text(value.get("base")),
        _text(value.get("saved"), 4096),
        tuple(blocks),
        _text(value.get("window"), 40),
        _whole(value.get("ask")),
    )


def _read_block(item: Any, seen: set[str]) -> Block | None:
    kind = item.get("kind") if isinstance(item, Mapping) else None
    if not isinstance(kind, str) or kind not in LAYERS:
        return None
    entry = LAYERS[kind]
    given = item.get("params")
    given = given if isinstance(given, Mapping) else {}
    params: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for parameter in entry.parameters:
        try:
            params[parameter.name] = parameter.check(_short(given.get(parameter.name, parameter.default)), entry.title)
        except ConfigError as error:
            problems[parameter.name] = error.message
        except (TypeError, OverflowError):  # no form sends lists of lists or numbers of 400 digits
            problems[parameter.name] = f"`{parameter.name}` of {entry.title} has a value that cannot be read; enter it again."
    name = item.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name) or name in seen:
        name = next(f"layer-{number}" for number in range(MAX_LAYERS + 1) if f"layer-{number}" not in seen)
    return Block(name, LayerSpec(entry.kind, params), problems)


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    return value[:MAX_LAYERS] if isinstance(value, list) else value


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_WHOLE else 0


def _text(value: Any, longest: int = LONGEST_TEXT * 5) -> str:
    return value[:longest] if isinstance(value, str) else ""


def propagate(document: Document, encoder: EncoderInfo) -> tuple[list[LayerState], list[dict[str, Any]]]:
    """Carry port and width through the blocks.

    Args:
        document: What the page shows.
        encoder: Facts of its base encoder.

    Returns:
        One state a block, without width from the first block on that has an error; and the errors, each with the id of its
        `layer`, its `field` (None where the whole block is meant) and a `message`.
    """
    architecture = document.architecture
    states = list(architecture.propagate(encoder))
    errors: list[dict[str, Any]] = [
        {"layer": block.id, "field": name, "message": message}
        for block in document.blocks
        for name, message in block.problems.items()
    ]
    broken = next((index for index, block in enumerate(document.blocks) if block.problems), len(states))
    for index, state in enumerate(states):
        if index < broken and state.problem:
            where = "max_seq_length" if document.blocks[index].spec.kind == "transformer" else None
            errors.append({"layer": document.blocks[index].id, "field": where, "message": state.problem})
    states[broken:] = [LayerState(state.port, None, 0) for state in states[broken:]]
    if not errors:
        problem = architecture.problem(encoder)
        if problem is not None:
            errors.append({"layer": document.blocks[problem.layer or 0].id, "field": None, "message": problem.message})
    return states, errors


def acknowledge(
    document: Document, encoder: EncoderInfo, saved: str | None = None, replaced: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the page shows beside the document: widths, counts, errors, totals.

    Args:
        document: What the page shows.
        encoder: Facts of its base encoder.
        saved: The command line of the draft as it is saved now; None where nothing was saved.
        replaced: What another window had saved in the meantime, see `describe_replaced`.
    """
    states, errors = propagate(document, encoder)
    architecture = document.architecture
    last = states[-1]
    total = None
    if not errors and last.width is not None:
        total = {
            "width": last.width,
            "num_parameters": architecture.num_parameters(encoder) if encoder.num_parameters else None,
            "bytes": architecture.bytes_per_vector(encoder),
        }
    return {
        **_receipt(document),
        "info": [
            {
                "layer": block.id,
                "port": state.port,
                "width": state.width,
                "bytes": BYTES_PER_NUMBER * state.width if state.port == "sentence" and state.width else None,
                # Some folders and Hub models do not say how large they are.
                "num_parameters": None if block.spec.kind == "transformer" and not encoder.num_parameters else state.num_parameters,
            }
            for block, state in zip(document.blocks, states, strict=True)
        ],
        "errors": errors,
        "total": total,
        "unset": {"max_seq_length": str(encoder.max_seq_length)},
        "saved": saved,
        "replaced": replaced,
    }


def _receipt(document: Document) -> dict[str, Any]:
    return {"ask": document.ask, "epoch": document.epoch, "rev": document.rev}


def numbered(ack: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer with a number of its own: the browser only notices a property that changes, and asks again if one got lost."""
    return {**ack, "answer": next(_answers)}


def decline(document: Document) -> dict[str, Any]:
    """Return the answer that says nothing of a document: it came, and whatever the page shows stays."""
    return {"ask": document.ask, "epoch": 0, "rev": 0, "news": None}


def redirect(document: Document, news: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer that brings the document which Python has put in the place of the one that came.

    Args:
        document: What the page sent.
        news: What `write_document` returned.
    """
    return {**decline(document), "news": dict(news)}


def describe_replaced(base: str, layers: Iterable[LayerSpec], line: str) -> dict[str, Any]:
    """Return a stack that an edit has replaced without having seen it, so that Undo can bring it back.

    Args:
        base: Its base encoder.
        layers: Its layers, encoder first.
        line: Its command line.
    """
    return {"base": base, "line": line, "layers": _number_layers("other", layers)}


def _number_layers(prefix: str, layers: Iterable[LayerSpec]) -> list[dict[str, Any]]:
    return [{"id": f"{prefix}-{index}", **layer.to_dict()} for index, layer in enumerate(layers)]


def fail(document: Document, message: str) -> dict[str, Any]:
    """Return the answer where nothing can be said of the widths.

    Args:
        document: What the page shows.
        message: Why not, in one sentence.
    """
    return {
        **_receipt(document),
        "info": [],
        "errors": [{"layer": document.blocks[0].id, "field": None, "message": message}],
        "total": None,
        "unset": {},
        "saved": None,
    }


def write_document(
    base: str, layers: Iterable[LayerSpec], saved: str, after: int = 0, only_after: int | None = None, words: str = ""
) -> dict[str, Any]:
    """Return a document that replaces the one the browser holds; it takes the `answer` that belongs to it along.

    Args:
        base: Base encoder.
        layers: The encoder first.
        saved: The command line of the draft.
        after: Epoch of the document to be replaced.
        only_after: Replace it only if no edit came after this `rev` of it; None replaces it in any case.
        words: What Undo calls the replacement.
    """
    # Milliseconds keep rising over restarts of the server, which would otherwise count from zero again.
    epoch = max(time.time_ns() // 10**6, after + 1)
    return {
        "epoch": epoch,
        "rev": 0,
        "base": base,
        "saved": saved,
        "replaces": None if only_after is None else {"epoch": after, "rev": only_after},
        "words": words,
        "layers": _number_layers("layer", layers),
    }
