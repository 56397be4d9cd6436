"""The process that works the queue off: `python -m workbench.runs.supervisor --home H`. It never imports torch.

It outlives the page and the command that started it, starts one run at a time as its child, writes how the child ended
where the child could not, and leaves when nothing is queued. A run whose supervisor died goes on; the next supervisor
waits for it before it starts another.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.models.kept import mend_model
from workbench.recipe import TrainingConfig
from workbench.runs import store
from workbench.runs.database import connect, patiently
from workbench.runs.ending import STOPPED_BY_FORCE, clear_up, count_memory_kills, describe_end
from workbench.runs.history import interrupt_dead_runs
from workbench.runs.lock import SupervisorLock
from workbench.runs.process import ProcessId, identify, module_command, say, start_process, terminate_tree, this_process
from workbench.runs.run import LOG_FILE, Run
from workbench.settings import keep_private, prepare_home

_TICK = 0.25

Starter = Callable[[Run, Path], "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Patience:
    """How long a run may take to stop, in seconds.

    Attributes:
        unnoticed: Until it has noticed the request, at its next step.
        saving: From noticing until it has ended; it evaluates and saves in that time.
        terminated: From being told to terminate until it is killed.
    """

    unnoticed: float = 60.0
    saving: float = 600.0
    terminated: float = 15.0


def supervise(home: Path, start: Starter | None = None, patience: Patience | None = None) -> None:
    """Work the queue of a home off, unless someone else does.

    Args:
        home: Folder of the workbench.
        start: Starts the process of a claimed run; None for `start_worker`.
        patience: How long a run may take to stop.
    """
    lock = SupervisorLock(prepare_home(home))
    while patiently(lock.acquire, say):
        try:
            with closing(patiently(lambda: connect(home), say)) as connection:
                _work_off(connection, home, start or start_worker, patience or Patience())
        finally:
            lock.release()
        # A run that was queued while the lock was still held started no supervisor; it is seen here.
        with closing(patiently(lambda: connect(home), say)) as connection:
            if not patiently(lambda: store.has_queued(connection), say):
                return


def _work_off(connection: sqlite3.Connection, home: Path, start: Starter, patience: Patience) -> None:
    while True:
        patiently(lambda: interrupt_dead_runs(connection, home), say)
        left_behind = patiently(lambda: store.processes(connection), say)
        if left_behind and left_behind[0][1] != this_process():
            _see_off(connection, *left_behind[0], patience)
            continue
        if left_behind:
            # Claimed by this very process, by a statement that took effect and yet failed.
            run = patiently(partial(store.fetch, connection, left_behind[0][0], home), say)
        else:
            run = patiently(lambda: store.claim_oldest(connection, home, this_process()), say)
        if run is None and not patiently(lambda: store.processes(connection), say):
            return
        if run is None:
            continue
        _carry_out(connection, run, home, start, patience)


def _see_off(connection: sqlite3.Connection, run_id: str, process: ProcessId, patience: Patience) -> None:
    """Wait for a run that an earlier supervisor left behind."""
    if _wait(connection, run_id, _Child(process), patience):
        patiently(lambda: store.transition(connection, run_id, "stopped", {"message": STOPPED_BY_FORCE}), say)


def _carry_out(connection: sqlite3.Connection, run: Run, home: Path, start: Starter, patience: Patience) -> None:
    kills_before = count_memory_kills()
    try:
        popen = start(run, home)
    except (OSError, WorkbenchError) as error:
        message = f"The training process could not be started: {error}"
        patiently(lambda: store.transition(connection, run.run_id, "failed", {"message": message}), say)
        return
    process = identify(popen.pid)
    if process is not None:
        # The run writes this too; who looks in between must not take the supervisor for the run.
        names = {"pid": process.pid, "pid_started": process.started}
        patiently(lambda: store.update(connection, run.run_id, names), say)
    forced = _wait(connection, run.run_id, _Child(process, popen), patience)
    kills = count_memory_kills()
    killed_for_memory = None if kills is None or kills_before is None else kills > kills_before
    requested, _ = patiently(lambda: store.stop_state(connection, run.run_id), say)
    clear_up(run.folder)
    status, end = describe_end(popen.wait(), forced and requested is not None, killed_for_memory, run.folder)
    # Does nothing where the run itself has written how it ended.
    if patiently(lambda: store.transition(connection, run.run_id, status, {"message": end}), say):
        mend_model(run.folder)


class _Child:
    """A run's process: our own child, or one that an earlier supervisor left behind."""

    def __init__(self, process: ProcessId | None, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.process = process
        self._popen = popen

    def wait(self, seconds: float) -> bool:
        """Wait a while; return whether it has ended."""
        if self._popen is not None:
            try:
                self._popen.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            return True
        if self.process is None or not self.process.alive:
            return True
        time.sleep(seconds)
        return False


def _wait(connection: sqlite3.Connection, run_id: str, child: _Child, patience: Patience) -> bool:
    """Wait until a run's process has ended; end it where a stop is not honoured in time.

    Returns:
        Whether it had to be ended.
    """
    asked_at = seen_at = terminated_at = None
    forced = False
    while not child.wait(_TICK):
        requested, seen = patiently(lambda: store.stop_state(connection, run_id), say)
        if requested is None or child.process is None:
            continue
        clock = time.monotonic()
        asked_at = asked_at or clock
        seen_at = seen_at or (clock if seen else None)
        if clock < (asked_at + patience.unnoticed if seen_at is None else seen_at + patience.saving):
            terminated_at = None  # it has noticed after all, and is given time to save
        elif terminated_at is None:
            terminate_tree(child.process, force=False)
            terminated_at, forced = clock, True
        elif clock >= terminated_at + patience.terminated:
            terminate_tree(child.process, force=True)
    return forced


def start_worker(run: Run, home: Path) -> subprocess.Popen[bytes]:
    """Start the process of a claimed run, its output appended to the run's log.

    Raises:
        OSError: If it cannot be started.
        WorkbenchError: If its recipe cannot be read.
    """
    training = run.recipe().training
    with (run.folder / LOG_FILE).open("ab") as log:
        environment = {"CUDA_VISIBLE_DEVICES": visible_devices(training, os.environ.get("CUDA_VISIBLE_DEVICES"))}
        if sys.platform.startswith("linux"):
            # Batches of ever other sizes would leave a GPU's memory full of holes. Whoever set it has it as they set it.
            environment["PYTORCH_ALLOC_CONF"] = os.environ.get("PYTORCH_ALLOC_CONF", "expandable_segments:True")
        if training.devices > 1 and "OMP_NUM_THREADS" not in os.environ:
            # Each process would otherwise start a thread for every core, and they would stand in each other's way.
            environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // training.devices))
        return start_process(worker_command(run.run_id, home, training.devices), home, log, environment)


def worker_command(run_id: str, home: Path, devices: int) -> list[str]:
    """Return the command of a run: its one process, or the one that starts a process for each device."""
    if devices == 1:
        return module_command("workbench.runs.worker", "--home", str(home), run_id)
    return module_command("workbench.runs.launcher", "--home", str(home), "--devices", str(devices), run_id)


def visible_devices(training: TrainingConfig, inherited: str | None) -> str:
    """Return CUDA_VISIBLE_DEVICES for a run: exactly the GPUs it may use.

    Args:
        training: Says which and how many.
        inherited: The variable as the workbench found it; GPUs are counted within it.
    """
    if training.device in {"cpu", "mps"}:
        return "-1"
    first = int(training.device.partition(":")[2] or 0)
    wanted = range(first, first + training.devices)
    if inherited is None:
        return ",".join(str(index) for index in wanted)
    offered = [entry.strip() for entry in inherited.split(",") if entry.strip()]
    # One that is not offered stays a number no one has, so that the run says that there is no such GPU.
    return ",".join(offered[index] for index in wanted if index < len(offered)) or "-1"


def main(arguments: list[str] | None = None) -> int:
    """Work the queue off in this process."""
    parser = argparse.ArgumentParser(
        prog="python -m workbench.runs.supervisor", description="Works the queue of runs off, then leaves."
    )
    parser.add_argument("--home", type=Path, required=True)
    options = parser.parse_args(arguments)
    keep_private()
    try:
        supervise(options.home.resolve())
    except WorkbenchError as error:
        say(error.message)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
