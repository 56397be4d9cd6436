"""The process of one run: `python -m workbench.runs.worker --home H RUN_ID`. It alone writes the run's progress."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from workbench.errors import LostProcessError, WorkbenchError, is_out_of_memory
from workbench.json_text import dump_json, finite
from workbench.models.kept import mend_model
from workbench.number_text import decimal
from workbench.recipe import Recipe
from workbench.runs import store
from workbench.runs.database import connect, now, patiently
from workbench.runs.ending import DISK_FULL, DISK_FULL_CODE, says_disk_full
from workbench.runs.history import resolve_model
from workbench.runs.launcher import LOST_CODE
from workbench.runs.process import end_with_parent, leave, say, this_process
from workbench.runs.run import LOG_FILE, MEASURE, METRICS_FILE, Run, run_folder
from workbench.settings import keep_private
from workbench.writing import is_disk_full

if TYPE_CHECKING:
    from workbench.data import Splits
    from workbench.training import Listener, TrainingResult

    Trainer = Callable[[Recipe, Splits, Path, Path, Listener], TrainingResult | None]
    PartsOpener = Callable[[Recipe, Path], Splits]

_PROGRESS_SECONDS = 0.5
_STOP_POLL_SECONDS = 0.1


class RunListener:
    """Writes what training tells to the run's row, its metrics file and stdout, which is its log.

    Args:
        connection: The open history; used by one thread.
        run: Which run.
    """

    def __init__(self, connection: sqlite3.Connection, run: Run) -> None:
        self._connection = connection
        self._run_id = run.run_id
        self._metrics = _open_metrics(run.folder / METRICS_FILE)
        self._progress: dict[str, Any] = {}
        self._written_at = -math.inf
        self._polled_at = -math.inf
        self._keep: str | None = None
        self._signalled = False
        self._facts: dict[str, Any] = {}

    def on_message(self, text: str) -> None:
        """Write a line of the log."""
        write_log(text)

    def on_start(self, total_steps: int, device: str, facts: Mapping[str, Any]) -> None:
        """Note how long it will be and where it runs."""
        self._facts = finite(dict(facts))
        values = {"total_steps": total_steps, "device": device, "facts": self._facts, "heartbeat": now()}
        if facts.get("primary_metric"):
            values["primary_metric"] = facts["primary_metric"]
        patiently(lambda: store.update(self._connection, self._run_id, values), say)

    def on_train(self, point: Mapping[str, Any]) -> None:
        """Append a point of the loss curve."""
        self._append("train", point)

    def on_evaluation(self, point: Mapping[str, Any]) -> None:
        """Append an evaluation, and say it in the log."""
        self._append("evaluation", point)
        value = point.get("value")
        if isinstance(value, int | float):
            measured = decimal(value, 4) if math.isfinite(value) else "cannot be measured"
            best = ", the best so far" if point.get("best") else ""
            write_log(f"Step {point.get('step')}: {point.get('primary_metric')} {measured} on the validation part{best}.")

    def on_progress(self, step: int, total_steps: int, epoch: float, pairs_per_second: float, seconds: float) -> None:
        """Note how far it is, at most twice a second."""
        self._progress = {
            "step": step,
            "total_steps": total_steps,
            "epoch": epoch,
            "pairs_per_second": pairs_per_second,
            "seconds": seconds,
        }
        if step >= total_steps or time.monotonic() - self._written_at >= _PROGRESS_SECONDS:
            self.write_progress()

    def on_cross_validation(self, done: int, total: int) -> None:
        """Note how far it is among the facts of the run."""
        self._facts = {**self._facts, "cross_validation": {"done": done, "total": total}}
        with suppress(sqlite3.OperationalError):
            store.update(self._connection, self._run_id, {"facts": self._facts, "heartbeat": now()})

    def on_pulse(self) -> None:
        """Write the sign of life, at most twice a second."""
        if time.monotonic() - self._written_at >= _PROGRESS_SECONDS:
            self.write_progress()

    def write_progress(self) -> None:
        """Write the progress that is known to the row."""
        self._written_at = time.monotonic()
        # A history that is busy for long is no reason to end a run: the next step writes again.
        with suppress(sqlite3.OperationalError):
            store.update(self._connection, self._run_id, {**self._progress, "heartbeat": now()})

    def stop_requested(self) -> str | None:
        """Return what to keep once someone wants the run stopped."""
        if self._keep is None and (self._signalled or time.monotonic() - self._polled_at >= _STOP_POLL_SECONDS):
            self._polled_at = time.monotonic()
            # A history that cannot be read or written for a while is no reason to end a run: the next step looks again.
            with suppress(sqlite3.OperationalError):
                self._look_for_stop()
        return self._keep

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Take a signal to end as a request to stop and keep the latest model."""
        # Only a flag: a handler runs between any two instructions, also inside a database call.
        self._signalled = True

    def close(self) -> None:
        """Write what is left and close the metrics file."""
        self.write_progress()
        self._metrics.close()

    def _look_for_stop(self) -> None:
        if self._signalled:
            store.transition(self._connection, self._run_id, "stopping", {"stop_requested": "latest"})
        keep, _ = store.stop_state(self._connection, self._run_id)
        if keep is None and self._signalled:
            keep = "latest"
        if keep is not None:
            store.update(self._connection, self._run_id, {"stop_seen": now()})
            write_log(f"Stopping as asked, keeping {'no model' if keep == 'none' else 'the ' + keep + ' model'}.")
        self._keep = keep

    def _append(self, kind: str, point: Mapping[str, Any]) -> None:
        line = dump_json({"type": kind, **point, "time": round(time.time(), 3)})
        # One write per line, so that a reader sees all of it or none, and never one line in another.
        self._metrics.write(line.encode() + b"\n")


class SilentListener:
    """What the second and further processes of a run tell: nothing. The first one speaks for all."""

    def on_message(self, text: str) -> None:
        """Ignore it."""

    def on_start(self, total_steps: int, device: str, facts: Mapping[str, Any]) -> None:
        """Ignore it."""

    def on_train(self, point: Mapping[str, Any]) -> None:
        """Ignore it."""

    def on_evaluation(self, point: Mapping[str, Any]) -> None:
        """Ignore it."""

    def on_progress(self, step: int, total_steps: int, epoch: float, pairs_per_second: float, seconds: float) -> None:
        """Ignore it."""

    def on_cross_validation(self, done: int, total: int) -> None:
        """Ignore it."""

    def on_pulse(self) -> None:
        """Ignore it."""

    def stop_requested(self) -> str | None:
        """Return None: the first process decides when all stop."""
        return None


def write_log(text: str) -> None:
    """Write a line with the time to stdout, which the supervisor has put into the run's log."""
    sys.stdout.write(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}\n")
    sys.stdout.flush()


def execute(run_id: str, home: Path, trainer: Trainer | None = None, parts: PartsOpener | None = None) -> int:
    """Do what a claimed run's recipe says, and write how it ended.

    Args:
        run_id: A run that the supervisor has claimed.
        home: Folder of the workbench.
        trainer: Who trains; None for `workbench.training.run_training`.
        parts: Who opens the data; None for `workbench.data.open_splits`.

    Returns:
        The process's exit code: 0 where the run completed or stopped, 1 where it failed; `DISK_FULL_CODE` where a full disk ended
        it, `LOST_CODE` where another process of the run is gone.
    """
    connection = connect(home)
    try:
        if not _register(connection, run_id):
            write_log(f"Run {run_id} is not to be started any more.")
            return 0
        run = store.fetch(connection, run_id, home)
        assert run is not None
        listener = RunListener(connection, run)
        previous = {number: signal.signal(number, listener.on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            result = _train(run, home, listener, trainer, parts)
            assert result is not None, "the first process measures"
        except Exception as error:
            code = _report_failure(connection, run, error)
            mend_model(run.folder)
            return code
        finally:
            with suppress(OSError, sqlite3.Error):
                listener.close()
            for number, handler in previous.items():
                signal.signal(number, handler)
        _finish(connection, run_id, result)
        return 0
    finally:
        connection.close()


def execute_further(run_id: str, home: Path, trainer: Trainer | None = None, parts: PartsOpener | None = None) -> int:
    """Take part in a run as its second or further process; only a failure of its own is written.

    Args:
        run_id: The run.
        home: Folder of the workbench.
        trainer: As for `execute`.
        parts: As for `execute`.

    Returns:
        The process's exit code.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # whoever ends all processes at once means the first one, which decides for all
    connection = connect(home)
    try:
        run = store.fetch(connection, run_id, home)
        if run is None or not run.active or run.kind == MEASURE:  # the first process measures alone
            return 0
        try:
            _train(run, home, SilentListener(), trainer, parts)
        except Exception as error:
            return _report_failure(connection, run, error)
        return 0
    finally:
        connection.close()


def _register(connection: sqlite3.Connection, run_id: str) -> bool:
    """Write which process this run is; return whether the run still wants one."""
    values: dict[str, Any] = {"heartbeat": now()}
    if not _one_of_several():
        # The process that started several is the run, since it lives as long as any of them.
        process = this_process()
        values |= {"pid": process.pid, "pid_started": process.started}
    return store.update(connection, run_id, values)


def _one_of_several() -> bool:
    # Not a setting: this variable is how the launcher, like torchrun, tells its processes who they are.
    return os.environ.get("WORLD_SIZE", "1") != "1"


def _train(run: Run, home: Path, listener: Listener, trainer: Trainer | None, parts: PartsOpener | None) -> TrainingResult | None:
    recipe = run.recipe()
    if parts is None:
        from workbench.data import open_splits

        parts = open_splits
    opened = parts(recipe, home)
    base = resolve_model(recipe.base, home)
    # Here and not at the top: torch takes seconds to import, and a broken installation should end as a failed run.
    if trainer is None:
        listener.on_message("Loading torch and transformers.")
        from workbench.training import measure_again, run_training

        trainer = run_training
        if run.kind == MEASURE:
            assert run.parent is not None
            trainer = partial(measure_again, trained=run_folder(run.parent, home))
    return trainer(recipe.replace(base=base), opened, home, run.folder, listener)


def _finish(connection: sqlite3.Connection, run_id: str, result: TrainingResult) -> None:
    values = finite(result.to_dict())
    columns = {
        "step": result.steps,
        "seconds": result.seconds,
        "pairs_per_second": result.pairs_per_second,
        "device": result.device,
        "metrics": values["metrics"],
        "primary_metric": result.primary_metric,
        "verdict": values["verdict"],
        "result": values,
        "heartbeat": now(),
    }
    if result.status == "completed":
        # The result is nowhere but here: it waits for a disk that is full.
        patiently(lambda: store.transition(connection, run_id, "completed", columns), say)
        write_log("Completed.")
        return
    keep, _ = patiently(lambda: store.stop_state(connection, run_id), say)
    kept = (
        "no model was kept" if result.best_step is None else f"the {keep or 'latest'} model, of step {result.best_step}, was kept"
    )
    stopped = {**columns, "message": f"Stopped on request; {kept}."}
    patiently(lambda: store.transition(connection, run_id, "stopping"), say)
    patiently(lambda: store.transition(connection, run_id, "stopped", stopped), say)
    write_log(f"Stopped; {kept}.")


def _report_failure(connection: sqlite3.Connection, run: Run, error: Exception) -> int:
    """Write why a run failed; return the exit code that says it where writing is impossible."""
    recipe = None
    with suppress(WorkbenchError):
        recipe = run.recipe()
    message = describe_failure(error, recipe)
    # On a full disk neither may work; the supervisor then writes that the process failed.
    with suppress(OSError):
        if not isinstance(error, WorkbenchError):
            traceback.print_exception(error)
        write_log(message)
    if isinstance(error, LostProcessError) and "TORCHELASTIC_RUN_ID" not in os.environ:
        return LOST_CODE  # the launcher knows how the other one ended
    with suppress(sqlite3.Error):
        store.transition(connection, run.run_id, "failed", {"message": message})
    return DISK_FULL_CODE if says_disk_full(message) else 1


def describe_failure(error: BaseException, recipe: Recipe | None = None) -> str:
    """Return one sentence for the user on why a run failed."""
    if isinstance(error, WorkbenchError):
        return error.message
    text = " ".join(str(error).split())
    if is_disk_full(error):
        return DISK_FULL
    if is_out_of_memory(error):
        rows = "" if recipe is None else f" at {recipe.training.micro_batch_size or recipe.training.batch_size} rows at a time"
        return (
            f"The memory ran out{rows}; set a smaller `micro_batch_size` (same result, less memory), "
            "a smaller `batch_size`, or a shorter `max_seq_length`."
        )
    short = text if len(text) <= 300 else text[:297] + "..."
    cause = f"{type(error).__name__}: {short}" if short else type(error).__name__
    return f"The run ended on an unexpected error ({cause}); the whole of it is in the run's {LOG_FILE}."


def _open_metrics(path: Path) -> Any:
    """Open the metrics file for appending, on a line of its own."""
    file = path.open("ab", buffering=0)
    if file.tell():
        with path.open("rb") as written:
            written.seek(-1, os.SEEK_END)
            if written.read(1) != b"\n":
                file.write(b"\n")
    return file


def main(arguments: list[str] | None = None) -> int:
    """Run one claimed run in this process."""
    parser = argparse.ArgumentParser(
        prog="python -m workbench.runs.worker", description="Runs one claimed run; started by the supervisor."
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--launcher", type=int, metavar="PID", help="the process that started this one of several")
    parser.add_argument("run_id")
    options = parser.parse_args(arguments)
    keep_private()
    if not _one_of_several():
        return execute(options.run_id, options.home)
    end_with_parent(options.launcher)  # a launcher that is killed could not end its processes any more
    return (execute if os.environ["RANK"] == "0" else execute_further)(options.run_id, options.home)


if __name__ == "__main__":
    leave(main())
