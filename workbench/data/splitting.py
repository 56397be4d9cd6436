"""Training, validation and test rows that share no sentence."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.data.issues import rows_word
from workbench.data.texts import TextColumn, digest_texts, number_digests
from workbench.errors import DataError

Rows = NDArray[np.int64]
Method = Literal["components", "anchors", "random", "given"]

NEEDED_ROWS = 50


@dataclass(frozen=True)
class Split:
    """Row numbers of each part.

    Attributes:
        train: To learn from.
        validation: To pick the best step on; may be empty.
        test: For the verdict; may be empty.
        method: `components`: rows joined by shared sentences stay together. `anchors`: held out by first text, straddling rows
            dropped. `random`: neither was possible.
        dropped: Rows in no part.
        leaking: Whether a sentence is in two parts.
    """

    train: Rows
    validation: Rows
    test: Rows
    method: Method
    dropped: int = 0
    leaking: bool = False


def text_ids(columns: Sequence[TextColumn]) -> Rows:
    """Return a number for each text, equal for texts that differ only in case and spaces, (columns, rows)."""
    return number_digests(digest_texts(columns, _fold))[0].reshape(len(columns), len(columns[0]))


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def components(table: Any, text_columns: Sequence[str]) -> Rows:
    """Return a group number for each row; rows that share a text, directly or through other rows, are in one group.

    Args:
        table: Anything whose `[name]` is a column of texts.
        text_columns: The names of those columns.
    """
    return components_of(text_ids([table[name] for name in text_columns]))


def components_of(ids: Rows) -> Rows:
    """Return a group number for each row, from the numbers of its texts, (columns, rows)."""
    parent = array("q", range(int(ids.max(initial=-1)) + 1))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for column in ids[1:]:
        for first, other in zip(memoryview(ids[0]), memoryview(column), strict=True):
            parent[find(first)] = find(other)
    roots = np.fromiter((find(text) for text in memoryview(ids[0])), dtype=np.int64, count=ids.shape[1])
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def split_rows(ids: Rows, validation_fraction: float, test_fraction: float, seed: int, allow_leaking: bool = False) -> Split:
    """Split rows so that no text is in two parts.

    Args:
        ids: From `text_ids`.
        validation_fraction: Wanted share; 0 for no such part.
        test_fraction: Wanted share; 0 for no such part.
        seed: Of the choice.
        allow_leaking: Whether a random split will do where no clean one is possible.

    Raises:
        DataError: If no clean split leaves enough rows and a leaking one is not allowed.
    """
    rows = ids.shape[1]
    wanted = _wanted(rows, validation_fraction, test_fraction)
    clean = _by_groups(components_of(ids), wanted, seed)
    if _enough(clean, wanted):
        return clean
    by_anchor = _by_anchors(ids, wanted, seed)
    if by_anchor is not None and _enough(by_anchor, wanted):
        return by_anchor
    if not allow_leaking:
        raise DataError(
            "Nearly all rows hang together through shared sentences, so no split leaves "
            f"{NEEDED_ROWS} held-out rows without a sentence that is trained on. Give a separate test file, "
            "or accept a random split, which leaks and gets no verdict (`--allow-leaking-split`, or the box on the page).",
            field="test_fraction",
        )
    order = np.random.default_rng(seed).permutation(rows)
    test, validation = order[: wanted[1]], order[wanted[1] : sum(wanted)]
    return Split(np.sort(order[sum(wanted) :]), np.sort(validation), np.sort(test), "random", leaking=True)


def _wanted(rows: int, validation_fraction: float, test_fraction: float) -> tuple[int, int]:
    """Return how many validation and test rows are wanted, at least one of each part that is asked for."""
    return tuple(max(1, round(rows * share)) if share > 0 else 0 for share in (validation_fraction, test_fraction))  # type: ignore[return-value]


def _enough(split: Split, wanted: tuple[int, int]) -> bool:
    held_out = zip((split.validation, split.test), wanted, strict=True)
    return all(len(part) >= min(NEEDED_ROWS, 0.5 * number) for part, number in held_out) and len(split.train) >= min(
        NEEDED_ROWS, 0.5 * (len(split.train) + split.dropped)
    )


def _by_groups(groups: Rows, wanted: tuple[int, int], seed: int) -> Split:
    sizes = np.bincount(groups)
    part_of_group = np.zeros(len(sizes), dtype=np.int64)  # 0 train, 1 validation, 2 test
    room = {2: wanted[1], 1: wanted[0]}
    for group in np.random.default_rng(seed).permutation(len(sizes)).tolist():
        for part in (2, 1):
            if 0 < sizes[group] <= room[part]:
                part_of_group[group] = part
                room[part] -= int(sizes[group])
                break
    part_of_row = part_of_group[groups]
    train, validation, test = (np.flatnonzero(part_of_row == number).astype(np.int64) for number in (0, 1, 2))
    return Split(train, validation, test, "components")


def _by_anchors(ids: Rows, wanted: tuple[int, int], seed: int) -> Split | None:
    """Hold out all rows of some first texts, then drop the rows whose other texts stand on both sides."""
    anchors = np.unique(ids[0], return_inverse=True)[1]
    first = _by_groups(anchors, wanted, seed)
    if not len(first.train):
        return None
    test, validation = first.test, first.validation
    # The held-out side gives way; if too little of it is left, the training side does.
    test_clean = test[~_shares(ids, test, np.concatenate([first.train, validation]))]
    validation_clean = validation[~_shares(ids, validation, np.concatenate([first.train, test_clean]))]
    train = first.train
    split = Split(
        train, validation_clean, test_clean, "anchors", ids.shape[1] - len(train) - len(validation_clean) - len(test_clean)
    )
    if _enough(split, wanted):
        return split
    validation_clean = validation[~_shares(ids, validation, test)]
    train = train[~_shares(ids, train, np.concatenate([test, validation_clean]))]
    return Split(train, validation_clean, test, "anchors", ids.shape[1] - len(train) - len(validation_clean) - len(test))


def _shares(ids: Rows, rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Return for each of `rows` whether one of its texts is in `others`."""
    return np.asarray(np.isin(ids[:, rows], ids[:, others]).any(axis=0))


def rows_that_share(texts: Sequence[TextColumn], others: Sequence[TextColumn]) -> NDArray[np.bool_]:
    """Return for each row whether one of its texts is in another table.

    Args:
        texts: Text columns of the rows.
        others: Text columns of the other table.
    """
    joined, _ = number_digests(digest_texts([*texts, *others], _fold))
    count = len(texts) * len(texts[0])
    own, foreign = joined[:count].reshape(len(texts), -1), joined[count:]
    return np.asarray(np.isin(own, foreign).any(axis=0))


def random_leak_share(ids: Rows, test_rows: int, seed: int) -> float:
    """Return the share of test rows that an ordinary random split would have leaked a sentence of."""
    rows = ids.shape[1]
    if not 0 < test_rows < rows:
        return 0.0
    order = np.random.default_rng(seed).permutation(rows)
    return float(_shares(ids, order[:test_rows], order[test_rows:]).mean())


def describe_split(split: Split, leak_share: float) -> str:
    """Return how rows were split, in one or two plain sentences."""
    counts = f"{rows_word(len(split.train))} to train, {len(split.validation):,} to pick the best step, {len(split.test):,} for the verdict"
    match split.method:
        case "components":
            text = f"{counts}. No sentence is in two parts"
            return text + (
                f"; an ordinary random split would have leaked {leak_share:.0%} of the test rows." if leak_share > 0.005 else "."
            )
        case "anchors":
            return f"{counts}. Held out by first text; {rows_word(split.dropped)} with a sentence on both sides were left out."
        case _:
            return (
                f"{counts}. The split is random and leaks: sentences of the test part are trained on, so there will be no verdict."
            )
