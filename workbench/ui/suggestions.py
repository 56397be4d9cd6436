"""What the data set in use suggests: settings of the loop that the user has not touched, and sentences to watch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.recipe import LOSSES, EncoderInfo, Suggestion, suggest_training
from workbench.recipe.training import USUAL_WIDTH
from workbench.ui.context import Context
from workbench.ui.draft import Draft, update_draft
from workbench.ui.fields import LABELS
from workbench.ui.formatting import split_settings

if TYPE_CHECKING:
    from workbench.data import StoredDataset


def find_suggestion(context: Context, draft: Draft, dataset: StoredDataset | None) -> Suggestion | None:
    """Return the settings that fit the rows the draft trains on; None without a data set that can be split."""
    if dataset is None:
        return None
    try:
        rows = context.preview_split(dataset.ref, split_settings(draft)).train
    except WorkbenchError:
        rows = dataset.rows
    fits = draft.loss is not None and dataset.kind in LOSSES[draft.loss.name].kinds
    return suggest_training(dataset.kind, rows, draft.loss.name if draft.loss is not None and fits else None)


def follow_suggestion(context: Context, draft: Draft, dataset: StoredDataset | None) -> Draft:
    """Return the draft, saved, with every setting that the user has not touched as the data suggest it."""
    suggestion = find_suggestion(context, draft, dataset)
    if suggestion is None:
        return draft
    values = {name: value for name, value in suggestion.values().items() if name not in draft.touched}
    training = dataclasses.replace(draft.training, **values)
    return draft if training == draft.training else update_draft(context.home, training=training, touched=draft.touched)


def watched(context: Context, draft: Draft, dataset: StoredDataset | None) -> tuple[str, ...]:
    """Return the draft's watch-list; while the user has not touched it, a few sentences of the data set."""
    if draft.watch is not None:
        return draft.watch
    if dataset is None:
        return ()
    try:
        return context.suggest_sentences(dataset.ref, split_settings(draft))
    except WorkbenchError:
        return ()


def suggestion_words(suggestion: Suggestion | None, draft: Draft, encoder: EncoderInfo | None) -> str:
    """Return the suggestion and what it rests on, as text; empty where there is none.

    Args:
        suggestion: What the rule gives, None where there is no data set.
        draft: What is set.
        encoder: Facts of the base, None where it cannot be read.
    """
    if suggestion is None:
        return ""
    values = (
        f"{suggestion.epochs:g} epochs, batches of {suggestion.batch_size} rows, warm-up over {suggestion.warmup_ratio:.0%} of the "
        f"steps, an evaluation every {suggestion.eval_steps:,} {'step' if suggestion.eval_steps == 1 else 'steps'}"
    )
    text = f"Suggested for {suggestion.rows:,} training rows: {values} ({suggestion.reason})."
    if draft.training.learning_rate == "auto" and encoder is not None:
        rate = f"{draft.training.learning_rate_for(encoder.pretrained, encoder.width):g}"
        text += f" Learning rate auto is {rate}: {_rate_reason(encoder)}."
    own = list(_differing(suggestion, draft))
    return text + (f" You have set {' and '.join(own)} otherwise." if own else "")


def _rate_reason(encoder: EncoderInfo) -> str:
    if not encoder.pretrained:
        return "an untrained encoder has everything to learn, in large steps"
    if encoder.width < USUAL_WIDTH:
        return f"the encoder is pretrained but only {encoder.width} wide, and a narrow one needs larger steps to move at all"
    return "the encoder is pretrained, and larger steps make it forget"


def differs(suggestion: Suggestion | None, draft: Draft) -> bool:
    """Return whether the draft's settings are others than those suggested."""
    return suggestion is not None and any(True for _ in _differing(suggestion, draft))


def _differing(suggestion: Suggestion, draft: Draft) -> Iterable[str]:
    for name, value in suggestion.values().items():
        if getattr(draft.training, name) != value:
            yield LABELS[name].lower()
