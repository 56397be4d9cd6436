"""What is written beside the verdict when a run ends: every test row, the calibration, the forgetting check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.evaluation import (
    Details,
    Evaluation,
    Evaluator,
    calibrate,
    check_general,
    distribution,
    general_evaluator,
    reliability,
)
from workbench.evaluation.calibration import CALIBRATION_FILE, MATCH_WORDS, why_no_threshold
from workbench.evaluation.general import GeneralCheck, not_checked
from workbench.json_text import dump_json
from workbench.models.bases import SCRATCH
from workbench.recipe import KINDS
from workbench.writing import replacing, write_json

if TYPE_CHECKING:
    from workbench.data import Splits
    from workbench.models import SentenceTransformer

TEST_ROWS_FILE = "test_rows.jsonl"
GENERAL_FILE = "general.json"

Measure = Callable[["SentenceTransformer", Evaluator], Evaluation]


@dataclass(frozen=True)
class Findings:
    """What was found beside the verdict.

    Attributes:
        general: The forgetting check.
        threshold: The cosine from which on texts count as a match for the tuned model, or None.
    """

    general: GeneralCheck
    threshold: float | None


class Outcome:
    """Measures the base before the first step and the tuned model after the last.

    Args:
        parts: The data of the run.
        base_name: The base as the recipe names it.
        folder: Gets the files.
        measure: How a model is measured.
    """

    def __init__(self, parts: Splits, base_name: str, folder: Path, measure: Measure) -> None:
        self._parts = parts
        self._folder = folder
        self._measure = measure
        self._general = None if base_name == SCRATCH else general_evaluator()
        self._general_before: Evaluation | None = None

    def measure_base(self, base: SentenceTransformer) -> None:
        """Measure the base on the general set; it shares its encoder with the network, so this comes before the first step."""
        if self._general is not None:
            self._general_before = self._measure(base, self._general)

    def write(
        self,
        tuned: SentenceTransformer | None,
        validation: Evaluator | None,
        validation_before: Evaluation | None,
        before: Evaluation | None,
        after: Evaluation | None,
    ) -> Findings:
        """Write the files.

        Args:
            tuned: The model that was kept, or None.
            validation: The validation part.
            validation_before: The base on it.
            before: The base on the test part.
            after: The tuned model on the test part.

        Returns:
            The forgetting check and the threshold.
        """
        check = self._check(tuned)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._folder / GENERAL_FILE, check.to_dict())
        if tuned is None or before is None or after is None:
            return Findings(check, None)
        test = _both(before, after)
        kept = (
            None if validation is None or validation_before is None else _both(validation_before, self._measure(tuned, validation))
        )
        kind, classes = self._parts.kind, self._parts.classes
        threshold = None
        if kept is not None and validation is not None:
            threshold = calibrate(kind, kept, test, validation.rows, after.rows, classes)
        groups = classes if kind not in MATCH_WORDS else tuple(reversed(MATCH_WORDS[kind]))
        write_json(
            self._folder / CALIBRATION_FILE,
            {
                "threshold": None if threshold is None else threshold.to_dict(),
                "no_threshold": why_no_threshold(kind, kept, classes),
                "distribution": distribution(test, groups),
                "reliability": {side: reliability(details) for side, details in test.items()},
            },
        )
        with replacing(self._folder / TEST_ROWS_FILE) as stream:
            for row in self._rows(test):
                stream.write(dump_json(row) + "\n")
        return Findings(check, None if threshold is None else threshold.threshold)

    def _check(self, tuned: SentenceTransformer | None) -> GeneralCheck:
        if self._general is None or self._general_before is None:
            return not_checked("the base is untrained, so there is no general ability to lose")
        if tuned is None:
            return not_checked("no model was kept")
        return check_general(self._general_before, self._measure(tuned, self._general))

    def _rows(self, test: dict[str, Details]) -> Iterator[dict[str, Any]]:
        """Yield each test row: its place in the data set, its texts and value, and what both models make of it."""
        parts, kind = self._parts, KINDS[self._parts.kind]
        assert parts.test is not None
        columns = {role: parts.test[role][:] for role in kind.roles}
        numbers = np.arange(len(parts.test)) if parts.test_rows is None else parts.test_rows
        for place, number in enumerate(numbers.tolist()):
            yield {
                "row": number + 1,
                **{role: column[place] for role, column in columns.items()},
                **{
                    side: {
                        **{name: _number(values[place]) for name, values in details.columns.items()},
                        "error": _number(details.error[place]),
                    }
                    for side, details in test.items()
                },
            }


def _both(base: Evaluation, tuned: Evaluation) -> dict[str, Details]:
    assert base.describe is not None and tuned.describe is not None
    return {"base": base.describe(), "tuned": tuned.describe()}


def _number(value: Any) -> int | float:
    return int(value) if isinstance(value, np.integer) else round(float(value), 6)
