"""The watch-list: a few sentences of the user's own whose similarities a run records at every evaluation."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.errors import ConfigError

WATCH_LIMIT = 12
"""Sentences; more than this no matrix shows legibly."""

WATCH_CHARACTERS = 1000
"""Longest sentence: it is drawn beside the matrix, not trained on."""


def parse_watch(text: str) -> tuple[str, ...]:
    """Read one sentence per line; empty lines and repeats are left out.

    Raises:
        ConfigError: If there are too many sentences, or one is too long.
    """
    return check_watch(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def check_watch(sentences: Iterable[str]) -> tuple[str, ...]:
    """Return a watch-list that a recipe can hold.

    Raises:
        ConfigError: If it is none.
    """
    if isinstance(sentences, str):
        raise ConfigError(f"`watch` must be a list of sentences, got the text {sentences[:40]!r}.", field="watch")
    found = tuple(sentences)
    for sentence in found:
        if not isinstance(sentence, str) or not sentence.strip():
            raise ConfigError(f"`watch` must hold sentences only, got {sentence!r}.", field="watch")
        if len(sentence) > WATCH_CHARACTERS:
            raise ConfigError(
                f"A sentence of `watch` has {len(sentence):,} characters, at most {WATCH_CHARACTERS:,} are shown; shorten {sentence[:40]!r}…",
                field="watch",
            )
    if len(found) > WATCH_LIMIT:
        raise ConfigError(f"`watch` takes up to {WATCH_LIMIT} sentences, got {len(found)}; leave some out.", field="watch")
    return found
