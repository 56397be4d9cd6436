"""What differs between two drafts, as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from workbench.recipe import LossSpec
from workbench.ui.context import Context
from workbench.ui.draft import Draft
from workbench.ui.fields import LABELS, SHOWN, to_widget
from workbench.ui.formatting import find_dataset, format_dataset, short_base

PARTS = {"data": "data", "validation_data": "validation file", "test_data": "test file"}


def describe_changes(before: Draft, after: Draft, context: Context) -> list[str]:
    """Return each thing that a run of one draft would do otherwise than a run of another, as `what from → to`.

    Args:
        before: One draft, as a form shows it: with objective and watch-list.
        after: The other.
        context: Knows the data sets.
    """
    return [f"{what} {old} → {new}" for what, old, new in _changes(before, after, context)]


def _changes(before: Draft, after: Draft, context: Context) -> Iterator[tuple[str, str, str]]:
    if before.base != after.base:
        old, new = short_base(before.base), short_base(after.base)
        yield "base", *((old, new) if old != new else (before.base, after.base))
    if before.architecture != after.architecture:
        yield "layers", _layers(before), _layers(after)
    for name, what in PARTS.items():
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            old, new = _data_words(one, context), _data_words(other, context)
            yield what, *((old, new) if old != new else (f"{old} ({one})", f"{new} ({other})"))
    if before.loss != after.loss:
        yield "objective", _loss_words(before.loss), _loss_words(after.loss)
    for item in dataclasses.fields(before.training):
        was, now = getattr(before.training, item.name), getattr(after.training, item.name)
        if was != now:
            yield LABELS.get(item.name, item.name).lower(), _value_words(item.name, was), _value_words(item.name, now)
    if before.watch != after.watch:
        yield "watch-list", _watch_words(before.watch), _watch_words(after.watch)
    if before.allow_leaking_split != after.allow_leaking_split:
        yield "random split", _allowed(before), _allowed(after)
    if before.name != after.name:
        yield "name of the run", before.name or "none", after.name or "none"


def _layers(draft: Draft) -> str:
    words = draft.architecture.to_text()
    limit = draft.architecture.layers[0].params.get("max_seq_length") if draft.architecture.layers else None
    return words if limit is None else f"{words} with texts up to {limit} tokens"


def _allowed(draft: Draft) -> str:
    return "allowed" if draft.allow_leaking_split else "not allowed"


def _data_words(ref: str | None, context: Context) -> str:
    dataset = find_dataset(ref, context)
    return format_dataset(dataset) if dataset else ref or "none"


def _loss_words(loss: LossSpec | None) -> str:
    if loss is None:
        return "none"
    params = ", ".join(f"{LABELS.get(name, name).lower()} {value:g}" for name, value in loss.params.items())
    return f"{loss.name} ({params})" if params else loss.name


def _value_words(name: str, value: Any) -> str:
    shown = to_widget(SHOWN[name], value) if name in SHOWN else value
    return f"{shown:g}" if isinstance(shown, float) else "not set" if shown is None else str(shown)


def _watch_words(watch: tuple[str, ...] | None) -> str:
    return "no sentences" if not watch else f"{len(watch)} {'sentence' if len(watch) == 1 else 'sentences'} from {watch[0]!r} on"
