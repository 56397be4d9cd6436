"""From which cosine on two texts count as a match, and how cosines are spread: chosen on one part, counted on another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.binary_classification import best_f1
from workbench.evaluation.evaluation import Details

CALIBRATION_FILE = "calibration.json"
BINS = 30
RELIABILITY_BINS = 10
_NAMED = 8  # classes that a sentence lists

MATCH_WORDS: Mapping[str, tuple[str, str]] = {
    "scored_pairs": ("score in the upper half of the scale", "score in the lower half"),
    "labelled_pairs": ("label 1, a match", "label 0, no match"),
    "pairs": ("texts of one row", "texts of two different rows"),
    "triplets": ("anchor and positive", "anchor and negative"),
}
"""Kind of data set -> what a match and what none is. For pairs with a class, see `MATCH_CLASSES`."""

MATCH_CLASSES = frozenset(
    {"entailment", "entails", "entailed", "duplicate", "duplicates", "paraphrase", "equivalent", "identical", "same", "match"}
)
"""Names of classes that say of two texts that they match, whatever the other classes are. Words like "yes" answer a question that is
not known, and "similar" or "related" may stand for half a match: with these a threshold would be a guess."""


@dataclass(frozen=True)
class Threshold:
    """What a threshold on the cosine gives on the test part.

    Attributes:
        value: Pairs with at least this cosine count as a match; the one of best F1 on the validation part.
        true_positives: Matches found.
        false_positives: Other pairs taken for matches.
        false_negatives: Matches missed.
        true_negatives: Other pairs told apart.
    """

    value: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def pairs(self) -> int:
        """Pairs of the test part."""
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives

    @property
    def accuracy(self) -> float:
        """Share of the pairs on their own side of the threshold."""
        return (self.true_positives + self.true_negatives) / max(self.pairs, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positives + self.false_negatives
        return 2 * self.true_positives / max(2 * self.true_positives + wrong, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {**asdict(self), "accuracy": self.accuracy, "f1": self.f1}


@dataclass(frozen=True)
class Calibration:
    """The threshold of a run's model, with that of its base beside it.

    Attributes:
        tuned: Of the tuned model.
        base: Of the base, chosen and counted in the same way.
        match: What counts as a match, as text.
        no_match: What does not.
        validation_rows: Rows the thresholds were chosen on.
        test_rows: Rows they were counted on.
    """

    tuned: Threshold
    base: Threshold
    match: str
    no_match: str
    validation_rows: int
    test_rows: int

    @property
    def threshold(self) -> float:
        """The cosine from which on the tuned model's pairs count as a match."""
        return self.tuned.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {**asdict(self), "tuned": self.tuned.to_dict(), "base": self.base.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote."""
        names = ("value", "true_positives", "false_positives", "false_negatives", "true_negatives")
        tuned, base = (Threshold(**{name: data[side][name] for name in names}) for side in ("tuned", "base"))
        return cls(tuned, base, data["match"], data["no_match"], data["validation_rows"], data["test_rows"])


def calibrate(
    kind: str,
    validation: Mapping[str, Details],
    test: Mapping[str, Details],
    validation_rows: int,
    test_rows: int,
    classes: Sequence[str] = (),
) -> Calibration | None:
    """Choose a threshold for each model on the validation part and count on the test part, which the choice never sees.

    Args:
        kind: A key of `KINDS`.
        validation: `base` and `tuned` on the validation part.
        test: The same on the test part.
        validation_rows: Number of rows of the one.
        test_rows: Number of rows of the other.
        classes: Names of the classes, for pairs with a class.

    Returns:
        None where `why_no_threshold` has a reason.
    """
    if why_no_threshold(kind, validation, classes):
        return None
    words = MATCH_WORDS.get(kind)
    if words is None:
        match = match_class(classes)
        assert match is not None
        others = ", ".join(name for number, name in enumerate(classes) if number != match)
        words = f"class {classes[match]}", f"any other class ({others})"
        validation, test = ({side: _told_apart(details, match) for side, details in part.items()} for part in (validation, test))
    found = {side: _count(best_f1(validation[side].cosines, validation[side].groups)[3], test[side]) for side in ("tuned", "base")}
    return Calibration(found["tuned"], found["base"], *words, validation_rows, test_rows)


def why_no_threshold(kind: str, validation: Mapping[str, Details] | None, classes: Sequence[str] = ()) -> str:
    """Return why no threshold can be chosen, as the end of a sentence; empty where one can.

    Args:
        kind: A key of `KINDS`.
        validation: As in `calibrate`; None where there is no validation part.
        classes: As in `calibrate`.
    """
    match = 1
    if kind not in MATCH_WORDS:
        named = match_class(classes)
        if named is None:
            names = ", ".join(classes[:_NAMED]) + (" …" if len(classes) > _NAMED else "")
            return f"none of the classes {names} says by its name that it alone is a match, so any threshold would be a guess"
        match = named
    if validation is None:
        return "there is no validation part to choose it on"
    if any(len(np.unique(details.groups == match)) < 2 for details in validation.values()):
        return "the validation part does not have both matches and others"
    return ""


def match_class(classes: Sequence[str]) -> int | None:
    """Return the number of the one class whose name says that its pairs match; None where there is none, or several."""
    found = [number for number, name in enumerate(classes) if name.strip().casefold() in MATCH_CLASSES]
    return found[0] if len(found) == 1 and len(classes) > 1 else None


def _told_apart(details: Details, match: int) -> Details:
    """Return the pairs of one class as matches, and those of all others as none."""
    return replace(details, groups=(details.groups == match).astype(np.int64))


def _count(threshold: float, details: Details) -> Threshold:
    taken, match = details.cosines >= threshold, details.groups == 1
    counts = [int(cell.sum()) for cell in (taken & match, taken & ~match, ~taken & match, ~taken & ~match)]
    return Threshold(threshold, *counts)


def distribution(details: Mapping[str, Details], names: Sequence[str]) -> dict[str, Any]:
    """Return how the cosines of each group are spread, both models on the same bins.

    Args:
        details: Model -> what it makes of the rows.
        names: What group 0, 1, ... is called.

    Returns:
        `edges` (one more than bins) and for each group its `name` and the counts of each model.
    """
    every = np.concatenate([item.cosines for item in details.values()])
    low, high = float(np.floor(every.min() * 20) / 20), float(np.ceil(every.max() * 20) / 20)
    edges = np.linspace(low, high if high > low else low + 0.05, BINS + 1)
    groups = [
        {
            "name": name,
            **{side: np.histogram(item.cosines[item.groups == number], edges)[0].tolist() for side, item in details.items()},
        }
        for number, name in enumerate(names)
    ]
    return {"edges": [round(edge, 6) for edge in edges.tolist()], "groups": groups}


def reliability(details: Details) -> list[dict[str, float]]:
    """Return mean cosine and mean target of ten equally large groups of pairs, in the order of their cosine."""
    if details.targets is None:
        return []
    order = np.argsort(details.cosines, kind="stable")
    bins = np.array_split(order, min(RELIABILITY_BINS, len(order)))
    return [_bin(details.cosines[rows], details.targets[rows]) for rows in bins if len(rows)]


def _bin(cosines: NDArray[np.float64], targets: NDArray[np.float64]) -> dict[str, float]:
    return {"cosine": float(cosines.mean()), "target": float(targets.mean()), "pairs": len(cosines)}


def read_reason(run_folder: Path) -> str:
    """Return why a run's model was given no threshold, as the end of a sentence; empty where no one wrote it down.

    Args:
        run_folder: The folder of the run.
    """
    try:
        return str(json.loads((run_folder / "evaluations" / CALIBRATION_FILE).read_text(encoding="utf-8"))["no_threshold"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def read_calibration(run_folder: Path) -> Calibration | None:
    """Return the threshold that a run's model was given; None where there is none (yet).

    Args:
        run_folder: The folder of the run.
    """
    try:
        data = json.loads((run_folder / "evaluations" / CALIBRATION_FILE).read_text(encoding="utf-8"))
        return None if data["threshold"] is None else Calibration.from_dict(data["threshold"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
