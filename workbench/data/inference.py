"""Pairs of inference (does the second text follow from the first?) as triplets: what follows is near, what contradicts is far."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.data.issues import Issue, issue, quoted, rows_word
from workbench.data.tables import RawTable
from workbench.data.vocabulary import CONTRADICTION_WORDS, ENTAILMENT_WORDS
from workbench.errors import DataError

INFERENCE_ROLES = ("anchor", "positive", "label")
"""Roles of a file whose rows are made into triplets: the two texts, and the word that says how they relate."""

Followers = dict[str, tuple[list[int], list[int]]]


def count_triplets(table: RawTable, roles: Mapping[str, str]) -> int:
    """Return how many triplets a table of inference pairs would make; 0 where its labels are other words.

    Args:
        table: The cells.
        roles: `INFERENCE_ROLES` -> column.
    """
    return sum(max(len(entailed), len(contradicted)) for entailed, contradicted in _followers(table, roles).values())


def make_triplets(table: RawTable, roles: Mapping[str, str]) -> tuple[RawTable, Issue]:
    """Return a table of triplets, and the note that says how it came about.

    For each first text the second texts that follow from it are put beside those that contradict it; where there are more of one
    kind, those of the other are used again. The number of a triplet is the row of its positive.

    Args:
        table: The cells.
        roles: `INFERENCE_ROLES` -> column.

    Raises:
        DataError: If no text has both.
    """
    positives, negatives = [], []
    for entailed, contradicted in _followers(table, roles).values():
        for place in range(max(len(entailed), len(contradicted))):
            positives.append(entailed[place % len(entailed)])
            negatives.append(contradicted[place % len(contradicted)])
    if not positives:
        raise DataError(
            f"No text of {quoted(roles['anchor'])} has both a row that follows from it and one that contradicts it, as the column "
            f"{quoted(roles['label'])} would say by “entailment” and “contradiction”; take the texts as sentence1 and sentence2.",
            field="columns",
        )
    first, second = table.columns[roles["anchor"]], table.columns[roles["positive"]]
    columns = {
        "anchor": [first[row] for row in positives],
        "positive": [second[row] for row in positives],
        "negative": [second[row] for row in negatives],
    }
    used = len({*positives, *negatives})
    way = ",".join(
        f"{role}={roles[source]}" for role, source in zip(("sentence1", "sentence2", "label"), INFERENCE_ROLES, strict=True)
    )
    note = issue(
        "triplets_made",
        "note",
        f"{len(positives):,} triplets were made of {rows_word(used)} of {table.rows:,}: a text, one that follows from it, one that "
        "contradicts it. Trained so, near and far mean what they say; training on the classes costs general ability and helps the "
        f"cosine little. To do that all the same, name the columns so: {way}.",
        count=len(positives),
    )
    numbers = [table.numbers[row] for row in positives]
    return RawTable(columns, len(positives), table.encoding, table.delimiter, numbers, frozenset(), list(table.issues)), note


def _followers(table: RawTable, roles: Mapping[str, str]) -> Followers:
    """Return first text -> rows whose second text follows from it, and rows whose second text contradicts it; both are there."""
    first, second, labels = (table.columns[roles[role]] for role in INFERENCE_ROLES)
    found: Followers = {}
    for row, (text, other, label) in enumerate(zip(first, second, labels, strict=True)):
        word = (label or "").strip().casefold()
        if row in table.skipped or not (text or "").strip() or not (other or "").strip():
            continue
        for place, words in enumerate((ENTAILMENT_WORDS, CONTRADICTION_WORDS)):
            if word in words:
                found.setdefault((text or "").strip(), ([], []))[place].append(row)
    return {text: rows for text, rows in found.items() if all(rows)}
