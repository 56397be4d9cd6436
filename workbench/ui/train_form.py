"""The Train form against the draft: what the user has changed in it, and what others have changed since it was filled.

A window fills its form from a draft and keeps that draft with its plan. What differs between the two is the user's own doing;
what differs between the kept draft and the one in the home was done in another window, or on another tab.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.recipe import SUGGESTED, LossSpec, default_loss, losses_for, parse_watch
from workbench.ui import fields
from workbench.ui.changes import describe_changes
from workbench.ui.context import Context
from workbench.ui.draft import Draft, edit_draft
from workbench.ui.formatting import find_dataset
from workbench.ui.suggestions import follow_suggestion, watched


@dataclass(frozen=True)
class Taken:
    """What came of putting a form into the draft.

    Attributes:
        draft: The draft as it is now.
        elsewhere: What a run would do otherwise than the page showed, as text; empty where nothing came in between.
        fits: Whether the form shows the draft as it stands, so that it need not be filled again.
    """

    draft: Draft
    elsewhere: tuple[str, ...]
    fits: bool


def as_shown(draft: Draft, context: Context) -> Draft:
    """Return a draft as the form shows it: the objective that fits the data, and sentences to watch, are filled in."""
    dataset = find_dataset(draft.data, context)
    loss = draft.loss
    if dataset and (loss is None or loss.name not in losses_for(dataset.kind)):
        loss = default_loss(dataset.kind)
    return dataclasses.replace(draft, loss=loss, watch=watched(context, draft, dataset))


def take_form(context: Context, planned: Draft, values: Mapping[str, Any], follow: bool = True) -> Taken:
    """Put what the user has changed in a form into the draft of the home.

    Args:
        context: The server's context.
        planned: The draft that the form was filled from.
        values: Input name -> what is in the form.
        follow: Whether settings that no one has touched then follow the data.

    Raises:
        ConfigError: If a value cannot be used; nothing is saved then.
    """
    changes = _Changes.of(as_shown(planned, context), values)
    before, draft = edit_draft(context.home, changes.apply)
    ours, theirs = (changes.apply(other) for other in (planned, before))
    shown, found = as_shown(ours, context), as_shown(theirs, context)
    if ours.watch is None and theirs.watch is None:  # sentences that no one chose follow the data, and need no words of their own
        found = dataclasses.replace(found, watch=shown.watch)
    elsewhere = tuple(describe_changes(shown, found, context))
    if follow:
        draft = follow_suggestion(context, draft, find_dataset(draft.data, context))
    return Taken(draft, elsewhere, not changes.other_loss and _form_part(as_shown(draft, context)) == _form_part(shown))


def _form_part(draft: Draft) -> tuple[Any, ...]:
    return draft.training, draft.loss, draft.watch, draft.name


@dataclass(frozen=True)
class _Changes:
    """What the user has changed in a form.

    Attributes:
        settings: Fields of `TrainingConfig`.
        others: Other fields of `Draft`.
        other_loss: Whether another objective was chosen: the form does not show its parameters yet.
    """

    settings: Mapping[str, Any]
    others: Mapping[str, Any]
    other_loss: bool

    @classmethod
    def of(cls, shown: Draft, values: Mapping[str, Any]) -> _Changes:
        """Return what differs between what a form was filled with and what is in it."""
        training = fields.read_training({name: values[name] for name in fields.SHOWN})
        settings = {name: getattr(training, name) for name in fields.SHOWN}
        found: dict[str, Any] = {
            "loss": _read_loss(shown.loss, values),
            "watch": parse_watch(values["watch"] or ""),
            "name": (values["name"] or "").strip(),
        }
        return cls(
            {name: value for name, value in settings.items() if value != getattr(shown.training, name)},
            {name: value for name, value in found.items() if value != getattr(shown, name)},
            _loss_name(found["loss"]) != _loss_name(shown.loss),
        )

    def apply(self, draft: Draft) -> Draft:
        """Return a draft with the changes."""
        touched = dict.fromkeys([*draft.touched, *(name for name in SUGGESTED if name in self.settings)])
        training = dataclasses.replace(draft.training, **self.settings)
        return dataclasses.replace(draft, training=training, touched=tuple(touched), **self.others)


def _read_loss(shown: LossSpec | None, values: Mapping[str, Any]) -> LossSpec | None:
    name = values["loss"]
    if not name:
        return shown
    if name != _loss_name(shown):
        # The widgets still hold the parameters of the loss before.
        return fields.read_loss(name, {})
    return fields.read_loss(name, {key: values[f"loss_{key}"] for key in fields.LOSS_PARAMETERS})


def _loss_name(loss: LossSpec | None) -> str | None:
    return None if loss is None else loss.name
