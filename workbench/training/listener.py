"""What a training run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Listener(Protocol):
    """Receives the progress of one run; `runs` implements it."""

    def on_message(self, text: str) -> None:
        """Take a line for the log."""

    def on_start(self, total_steps: int, device: str, facts: Mapping[str, Any]) -> None:
        """Learn how long it will be, where it runs, and the facts of the run (rows, learning rate, baseline)."""

    def on_train(self, point: Mapping[str, Any]) -> None:
        """Take a point of the loss curve: step, epoch, loss, learning_rate, grad_norm."""

    def on_evaluation(self, point: Mapping[str, Any]) -> None:
        """Take an evaluation on the validation part: step, epoch, metrics, primary_metric, value, best."""

    def on_progress(self, step: int, total_steps: int, epoch: float, pairs_per_second: float, seconds: float) -> None:
        """Learn how far it is; called after every step."""

    def on_cross_validation(self, done: int, total: int) -> None:
        """Learn how many of the trainings of a cross-validation are done."""

    def on_pulse(self) -> None:
        """Learn that the run lives, where nothing else tells; called at every step of those trainings."""

    def stop_requested(self) -> str | None:
        """Return "latest", "best" or "none" (what to keep) when someone wants it stopped, else None."""
