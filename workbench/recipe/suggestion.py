"""Settings that fit the data at hand: one rule, stated here, for the page and the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from workbench.recipe.losses import LOSSES, default_loss
from workbench.recipe.training import TrainingConfig

SUGGESTED = ("epochs", "batch_size", "warmup_ratio", "eval_steps")
"""The settings of `TrainingConfig` that the rule speaks of; all others keep their default."""

EPOCHS = ((300, 8.0), (1_000, 5.0), (10_000, 3.0), (100_000, 2.0))
"""(rows below, epochs): with few rows one pass is only a handful of steps; with more than the last, one pass is enough."""

_STEPS_PER_EPOCH = 20
_SHORT_RUN = 100


@dataclass(frozen=True)
class Suggestion:
    """What the rule gives for a data set.

    Attributes:
        epochs: Passes over the training rows.
        batch_size: Rows a step.
        warmup_ratio: Share of the steps in which the learning rate rises.
        eval_steps: Steps between two evaluations.
        rows: Training rows it was made for.
        reason: Why, as text.
    """

    epochs: float
    batch_size: int
    warmup_ratio: float
    eval_steps: int
    rows: int
    reason: str

    def values(self) -> dict[str, Any]:
        """Return field of `TrainingConfig` -> value."""
        return {name: getattr(self, name) for name in SUGGESTED}


def suggest_training(kind: str, rows: int, loss: str | None = None) -> Suggestion:
    """Return the settings that fit a data set.

    The batch is the largest power of two that still leaves 20 steps in an epoch, between 8 and 32; with in-batch negatives, where
    every other row of the batch is a wrong answer to learn from, between 16 and 128. Epochs follow from the table above.
    A run of under 100 steps warms up over a fifth of them instead of a tenth. The validation part is measured 20 times in a run of
    200 steps or more, else 10 times.

    Args:
        kind: Kind of the data set.
        rows: Training rows, those held out not counted.
        loss: Class name of the objective; None for the one that fits the data.
    """
    entry = LOSSES[loss or default_loss(kind).name]
    low, high = (16, 128) if entry.in_batch_negatives else (8, 32)
    batch_size = min(high, max(low, 2 ** int(math.log2(max(1, rows / _STEPS_PER_EPOCH)))))
    epochs = next((passes for below, passes in EPOCHS if rows < below), 1.0)
    total = TrainingConfig(epochs=epochs).total_steps(math.ceil(max(1, rows) / batch_size))
    warmup_ratio = 0.2 if total < _SHORT_RUN else 0.1
    eval_steps = _round_number(total / (20 if total >= 200 else 10))
    passes = f"{epochs:g} {'pass' if epochs == 1 else 'passes'}"
    size = "few" if epochs > 3 else "many" if epochs < 3 else "a fair number of"
    batch = (
        "every other row of a batch serves as a wrong answer, so the batch is as large as the data allow"
        if entry.in_batch_negatives
        else f"batches of {batch_size} leave {math.ceil(max(1, rows) / batch_size):,} steps a pass"
    )
    return Suggestion(epochs, batch_size, warmup_ratio, eval_steps, rows, f"{size} rows, so {passes}; {batch}")


def _round_number(value: float) -> int:
    """Return 1, 2 or 5 times a power of ten, the largest that is not above the value; at least 1."""
    if value < 2:
        return 1
    power = 10 ** int(math.log10(value))
    return int(max(step for step in (1, 2, 5) if step * power <= value) * power)
