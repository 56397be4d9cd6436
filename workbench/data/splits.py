"""The three parts of a run: to learn from, to pick the best step on, and to judge by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.catalogue import StoredDataset, arrow_table, import_file, is_dataset_ref, open_dataset
from workbench.data.inspection import examine
from workbench.data.issues import listed, rows_word
from workbench.data.splitting import (
    Method,
    Rows,
    Split,
    components,
    components_of,
    describe_split,
    random_leak_share,
    rows_that_share,
    split_rows,
    text_ids,
)
from workbench.data.texts import read_numbers
from workbench.errors import DataError
from workbench.recipe.kinds import KINDS
from workbench.recipe.recipe import Recipe
from workbench.recipe.training import TrainingConfig
from workbench.recipe.watch import WATCH_CHARACTERS

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Splits:
    """The rows of a run.

    Attributes:
        kind: Kind of data set.
        classes: Names of the classes.
        train: To learn from.
        validation: To pick the best step on, or None.
        test: For the verdict, or None.
        test_groups: Group of each test row; rows of one group share sentences. None without a test part.
        method: How rows were split; `given` where both held-out parts are files of their own.
        leaking: Whether test sentences are trained on, so that there can be no verdict.
        dropped: Rows in no part.
        notes: What happened, in plain sentences.
        test_rows: Place of each test row in the data set it is from, (rows,); None without a test part.
        split: The split of `data`, by places in it; None where there was nothing to split.
    """

    kind: str
    classes: tuple[str, ...]
    train: datasets.Dataset
    validation: datasets.Dataset | None
    test: datasets.Dataset | None
    test_groups: NDArray[np.int64] | None
    method: Method
    leaking: bool
    dropped: int
    notes: tuple[str, ...]
    test_rows: NDArray[np.int64] | None = None
    split: Split | None = None


@dataclass(frozen=True)
class SplitSummary:
    """How a data set would be split.

    Attributes:
        train: Number of training rows.
        validation: Number of validation rows.
        test: Number of test rows.
        method: How.
        leaking: Whether sentences are in two parts.
        dropped: Rows in no part.
        random_leak_share: Share of test rows that an ordinary random split would have leaked.
        sentence: All of it as text.
        rows: Rows in all parts.
        groups: How many of these share no sentence with one another.
        test_groups: As many of the test part.
        largest_group: Rows of the largest group.
    """

    train: int
    validation: int
    test: int
    method: Method
    leaking: bool
    dropped: int
    random_leak_share: float
    sentence: str
    rows: int = 0
    groups: int = 0
    test_groups: int = 0
    largest_group: int = 0


def open_splits(recipe: Recipe, home: Path) -> Splits:
    """Open the data of a recipe and split what it leaves to be split.

    Training rows that share a sentence with a given validation or test file are dropped.

    Raises:
        DataError: If data cannot be read, kinds differ, or no clean split is possible and a leaking one not allowed.
    """
    stored = _resolve(recipe.data, home, recipe.columns, recipe.score_scale)
    kind = KINDS[stored.kind]
    table = stored.table()
    places = np.arange(len(table))
    notes: list[str] = []
    given = {
        name: _given(ref, home, recipe, stored)
        for name, ref in (("validation", recipe.validation_data), ("test", recipe.test_data))
        if ref is not None
    }
    dropped = 0
    for name, held_out in given.items():
        shared = _shared(table, held_out, kind.texts)
        lost = int(shared.sum())
        table, places, dropped = _without(table, shared), places[~shared], dropped + lost
        if lost:
            notes.append(f"{rows_word(lost)} share a sentence with the {name} file and were left out of the training.")
    if "test" in given and "validation" in given:
        shared = _shared(given["validation"], given["test"], kind.texts)
        given["validation"], lost = _without(given["validation"], shared), int(shared.sum())
        if lost:
            notes.append(f"{rows_word(lost)} of the validation file share a sentence with the test file and were left out.")
    config = recipe.training
    fractions = (
        0.0 if "validation" in given else config.validation_fraction,
        0.0 if "test" in given else config.test_fraction,
    )
    ids = text_ids([table[role] for role in kind.texts])
    method: Method = "given"
    leaking = False
    parts: dict[str, datasets.Dataset | None] = {"validation": given.get("validation"), "test": given.get("test")}
    train = table
    whole_split = None
    test_rows = None if "test" not in given else np.arange(len(given["test"]))
    if any(fractions):
        split = _split(stored, ids, places, fractions, config.seed, recipe.allow_leaking_split)
        whole_split = replace(split, train=places[split.train], validation=places[split.validation], test=places[split.test])
        method, leaking, dropped = split.method, split.leaking, dropped + split.dropped
        notes.append("Split: " + describe_split(split, random_leak_share(ids, len(split.test), config.seed)))
        train = table.select(split.train)
        for name, rows in (("validation", split.validation), ("test", split.test)):
            if name not in given and len(rows):
                parts[name] = table.select(rows)
        if test_rows is None and len(split.test):
            test_rows = whole_split.test
        # Only a test part drawn at random leaks into the verdict; a file of its own was kept apart above.
        leaking = leaking and "test" not in given
    if len(train) < 2:
        raise DataError(f"Only {rows_word(len(train))} are left to train on; hold out less, or bring more rows.", field="data")
    test = parts["test"]
    groups = None if test is None else components(test, kind.texts)
    return Splits(
        stored.kind,
        stored.classes,
        train,
        parts["validation"],
        test,
        groups,
        method,
        leaking,
        dropped,
        tuple(notes),
        test_rows,
        whole_split,
    )


def preview_split(ref: str, home: Path, training: TrainingConfig) -> SplitSummary:
    """Return how a stored data set would be split.

    Raises:
        DataError: If there is no such data set, or no clean split is possible.
    """
    stored = open_dataset(ref, home)
    table = stored.table()
    ids = text_ids([table[role] for role in KINDS[stored.kind].texts])
    fractions = (training.validation_fraction, training.test_fraction)
    split = _split(stored, ids, np.arange(ids.shape[1]), fractions, training.seed, allow_leaking=False)
    share = random_leak_share(ids, len(split.test), training.seed)
    kept = np.concatenate([split.train, split.validation, split.test])
    sizes = np.bincount(components_of(ids[:, kept]))
    return SplitSummary(
        len(split.train),
        len(split.validation),
        len(split.test),
        split.method,
        split.leaking,
        split.dropped,
        share,
        describe_split(split, share),
        len(kept),
        len(sizes),
        len(np.unique(components_of(ids[:, split.test]))),
        int(sizes.max(initial=0)),
    )


def suggest_sentences(ref: str, home: Path, training: TrainingConfig, count: int = 6) -> tuple[str, ...]:
    """Return a few sentences of the validation part to watch: of rows with a value, the highest, the middle and the lowest one.

    Where no clean split is possible they come from all rows.

    Raises:
        DataError: If there is no such data set.
    """
    stored = open_dataset(ref, home)
    kind = KINDS[stored.kind]
    table = stored.table()
    try:
        ids = text_ids([table[role] for role in kind.texts])
        split = split_rows(ids, training.validation_fraction, training.test_fraction, training.seed)
        table = table.select(split.validation if len(split.validation) else split.train)
    except DataError:
        pass
    order = range(len(table)) if kind.label is None else np.argsort(-read_numbers(table, kind.label), kind="stable")
    places = [0, len(order) // 2, len(order) - 1] if kind.label is not None else range(min(count, len(order)))
    texts = [str(table[int(order[place])][role]) for place in places for role in kind.texts]
    return tuple(text for text in dict.fromkeys(text.strip() for text in texts) if 0 < len(text) <= WATCH_CHARACTERS)[:count]


def load_pairs(
    path: str | Path, columns: Mapping[str, str] | None = None, score_scale: tuple[float, float] | None = None
) -> datasets.Dataset:
    """Read a file as the workbench does, without storing it.

    Args:
        path: A CSV, TSV or JSON Lines file.
        columns: Role -> column; None to guess.
        score_scale: Lowest and highest possible score; None to see it in the file.

    Returns:
        The rows, columns named by role, scores 0 to 1.

    Raises:
        DataError: If the file cannot be read or trained on.
    """
    report, cleaned = examine(Path(path), columns, score_scale)
    if not report.usable or cleaned is None or report.kind is None:
        raise DataError(f"`{Path(path).name}`: {report.summary}", field="data")
    return arrow_table(report.kind, cleaned.columns)


def _resolve(data: str, home: Path, columns: Mapping[str, str] | None, scale: tuple[float, float] | None) -> StoredDataset:
    if is_dataset_ref(data) and not Path(data).is_file():
        return open_dataset(data, home)
    return import_file(data, home, columns or None, scale)


def _given(ref: str, home: Path, recipe: Recipe, stored: StoredDataset) -> Any:
    held_out = _resolve(ref, home, recipe.columns if not is_dataset_ref(recipe.data) else None, recipe.score_scale)
    if held_out.kind != stored.kind:
        raise DataError(
            f"The held-out data {held_out.name!r} hold {held_out.kind}, but the training data hold {stored.kind}; both must be of one kind.",
            field="test_data",
        )
    unknown = set(held_out.classes) - set(stored.classes)
    if unknown:
        raise DataError(
            f"The held-out data {held_out.name!r} have the classes {listed(sorted(unknown))}, which the training data do not have; "
            f"those have {listed(stored.classes)}.",
            field="test_data",
        )
    table = held_out.table()
    if held_out.classes != stored.classes:
        # Classes are numbered file by file; a file without one of them counts differently.
        number = [stored.classes.index(name) for name in held_out.classes]
        table = table.map(lambda row: {"label": number[row["label"]]})
    return table


def _split(stored: StoredDataset, ids: Rows, places: Rows, fractions: tuple[float, float], seed: int, allow_leaking: bool) -> Split:
    """Return the split of some rows of a data set: the one it was corrected under, if that was asked for, else a fresh one.

    Args:
        stored: The data set.
        ids: From `text_ids`, of the rows at hand.
        places: Place of each of them in the data set.
        fractions: Shares of validation and test part.
        seed: Of a fresh split.
        allow_leaking: Whether a random split will do where no clean one is possible.
    """
    kept = stored.kept_split(fractions, seed)
    if kept is None:
        return split_rows(ids, fractions[0], fractions[1], seed, allow_leaking)
    train, validation, test = (np.flatnonzero(np.isin(places, rows)) for rows in (kept.train, kept.validation, kept.test))
    left_out = len(places) - len(train) - len(validation) - len(test)
    return Split(train, validation, test, kept.method, left_out, kept.leaking)


def _shared(table: Any, held_out: Any, roles: tuple[str, ...]) -> NDArray[np.bool_]:
    return rows_that_share([table[role] for role in roles], [held_out[role] for role in roles])


def _without(table: Any, rows: NDArray[np.bool_]) -> Any:
    return table.select(np.flatnonzero(~rows)) if rows.any() else table
