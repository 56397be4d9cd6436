"""Repeated cross-validation of a small set: which rows it takes, and its trainings one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from datasets import concatenate_datasets

from workbench.data.splitting import components
from workbench.data.texts import read_numbers
from workbench.evaluation import Evaluation, Evaluator, Verdict, build_evaluator
from workbench.evaluation.cross_validation import FOLDS, REPETITIONS, TRAININGS, Fold, assign_folds, is_small, judge_folds
from workbench.evaluation.verdict import not_judged
from workbench.number_text import decimal
from workbench.recipe import KINDS, Recipe
from workbench.training.listener import Listener

if TYPE_CHECKING:
    from datasets import Dataset

    from workbench.data import Splits

FOLDS_FILE = "folds.jsonl"

TrainFold = Callable[["Dataset", Evaluator, int], "tuple[Evaluation, Evaluation] | None"]
"""Training rows, what measures the rows left out, and a seed -> base and tuned model measured; None where a stop was asked for."""


class CrossValidation:
    """The cross-validation of one run. It takes all rows of the data set, and those of no file of their own.

    Each training takes the settings of the run and the rows of four folds; none picks a step, since that would need rows too. The
    cost is that of `TRAININGS` trainings on four fifths of the rows, never more.

    Args:
        recipe: Of the run.
        parts: Its data.
    """

    def __init__(self, recipe: Recipe, parts: Splits) -> None:
        kept = [parts.train]
        kept += [] if recipe.validation_data or parts.validation is None else [parts.validation]
        kept += [] if recipe.test_data or parts.test is None else [parts.test]
        self._kind = KINDS[parts.kind]
        self._seed = recipe.training.seed
        self.rows = sum(len(part) for part in kept)
        self.applies = False
        if recipe.training.cross_validation == "off" or recipe.training.devices > 1 or not is_small(self.rows, self.rows, 0, 1):
            return
        self._data = concatenate_datasets(kept)
        self._groups = components(self._data, self._kind.texts)
        sizes = np.bincount(self._groups)
        tested = 0 if parts.test_groups is None or parts.leaking else len(np.unique(parts.test_groups))
        self.applies = is_small(self.rows, len(sizes), tested, int(sizes.max()))

    def announce(self, listener: Listener) -> None:
        """Say before the first step what it will cost, where it applies."""
        if self.applies:
            listener.on_message(
                f"With {self.rows} rows the test part is too small for a verdict, so after the training every row is held out in turn: "
                f"{TRAININGS} further trainings ({REPETITIONS} times {FOLDS}-fold cross-validation), each on four fifths of the rows and "
                "about as long as this one. `cross_validation` off leaves them out."
            )

    def run(self, train_fold: TrainFold, folder: Path, listener: Listener, metric: str) -> Verdict:
        """Train and measure all folds.

        Args:
            train_fold: Trains one.
            folder: Gets `folds.jsonl`, a line for each as soon as it is measured.
            listener: Is told how far it is.
            metric: Key of the primary metric.

        Returns:
            The verdict; `not_judged` where a stop was asked for before the end.
        """
        folds: list[Fold] = []
        path = folder / FOLDS_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        for repetition in range(REPETITIONS):
            fold_of_row = assign_folds(self._groups, self._seed + repetition)
            for number in range(FOLDS):
                listener.on_cross_validation(len(folds), TRAININGS)
                held_out = np.flatnonzero(fold_of_row == number)
                part = self._data.select(held_out)
                labels = None if self._kind.label is None else read_numbers(part, self._kind.label)
                evaluator = build_evaluator(self._kind.name, [part[role][:] for role in self._kind.texts], labels)
                measured = train_fold(self._data.select(np.flatnonzero(fold_of_row != number)), evaluator, self._seed + len(folds))
                if measured is None:
                    return not_judged(metric, f"the cross-validation was stopped after {len(folds)} of {TRAININGS} trainings")
                folds.append(Fold(held_out, *measured))
                line: dict[str, float] = {"repetition": repetition + 1, "fold": number + 1, "rows": len(held_out)}
                line |= {"before": measured[0].value, "after": measured[1].value}
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                listener.on_message(
                    f"Cross-validation, training {len(folds)} of {TRAININGS}: {metric} {decimal(measured[0].value, 4)} → {decimal(measured[1].value, 4)} "
                    f"on {len(held_out)} rows left out."
                )
        listener.on_cross_validation(TRAININGS, TRAININGS)
        return judge_folds(folds, self._groups)
