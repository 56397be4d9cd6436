"""The processes of a run on several devices: `python -m workbench.runs.launcher --home H --devices N RUN_ID`. It never imports torch.

It starts one process a device, tells each which one it is, hands a request to stop to the first, and ends all of them when one
fails. They meet through a file in the run's folder and talk over the loopback interface: torchrun's store would listen on every
interface, ask no one for a secret, and unpickle what it is sent.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType

import psutil

from workbench.errors import RunError
from workbench.runs import store
from workbench.runs.database import connect, now, patiently
from workbench.runs.ending import DISK_FULL_CODE, count_memory_kills, describe_end
from workbench.runs.process import child_environment, module_command, say, this_process
from workbench.runs.run import run_folder
from workbench.runs.states import Status
from workbench.settings import keep_private
from workbench.training.meeting import MEETING_FILE

LOST_CODE = 75
"""Exit code of a process that ended because another one of its run was gone: never the cause."""
_TICK = 0.05
_FAREWELL_SECONDS = 10.0
"""How long the others have, after one of them failed, to notice it and say what they know."""


def loopback_interface() -> str:
    """Return the name of the network interface that no other machine reaches.

    Raises:
        RunError: If the machine has none.
    """
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == "127.0.0.1" for address in addresses):
            return name
    raise RunError(
        "This machine has no loopback interface with the address 127.0.0.1, over which the processes of a run on several "
        "`devices` talk; set `devices` to 1.",
        field="devices",
    )


def start_ranks(command: Sequence[str], size: int, folder: Path) -> list[subprocess.Popen[bytes]]:
    """Start the processes that train one network together; their output goes where this one's goes.

    Args:
        command: Of each of them.
        size: How many.
        folder: Their current folder.

    Raises:
        OSError: If one cannot be started; none is left then.
        RunError: If the machine has no loopback interface.
    """
    interface = loopback_interface()
    started: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(size):
            environment = child_environment(
                {
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "WORLD_SIZE": str(size),
                    "LOCAL_WORLD_SIZE": str(size),
                    "GLOO_SOCKET_IFNAME": interface,
                    "NCCL_SOCKET_IFNAME": f"={interface}",  # with "=" it is the whole name, not its beginning
                }
            )
            # In this one's session: what ends its process group ends all of them.
            started.append(subprocess.Popen(list(command), stdin=subprocess.DEVNULL, cwd=folder, env=environment))
    except OSError:
        end_ranks(started)
        raise
    return started


def end_ranks(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Kill those that still run."""
    for process in processes:
        with suppress(OSError):
            process.kill()
    for process in processes:
        process.wait()


def wait_for_ranks(processes: Sequence[subprocess.Popen[bytes]], signals: Sequence[int] = ()) -> tuple[int, int]:
    """Wait until all have ended; where one fails, the others get a moment and are then killed.

    Args:
        processes: By rank.
        signals: Grows while this waits; what comes is handed to the first process, which decides for all.

    Returns:
        Rank and exit code of the one that failed first, (0, 0) where none did.
    """
    handed = 0
    cause: tuple[int, int] | None = None
    failed_at: float | None = None
    while any(process.poll() is None for process in processes):
        while handed < len(signals):
            with suppress(OSError):
                processes[0].send_signal(signals[handed])
            handed += 1
        cause = cause or _find_cause(processes)
        if failed_at is None and any(process.returncode for process in processes):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > _FAREWELL_SECONDS:
            cause = cause or _first_failed(processes)
            end_ranks(processes)
        time.sleep(_TICK)
    return cause or _find_cause(processes) or _first_failed(processes) or (0, 0)


def _find_cause(processes: Sequence[subprocess.Popen[bytes]]) -> tuple[int, int] | None:
    codes = [(rank, process.returncode) for rank, process in enumerate(processes)]
    return next(((rank, code) for rank, code in codes if code not in {None, 0, LOST_CODE}), None)


def _first_failed(processes: Sequence[subprocess.Popen[bytes]]) -> tuple[int, int] | None:
    return next(((rank, process.returncode) for rank, process in enumerate(processes) if process.returncode), None)


def launch(run_id: str, home: Path, devices: int) -> int:
    """Carry a claimed run out in as many processes as it wants, and write how it ended where they could not.

    Args:
        run_id: A run that the supervisor has claimed.
        home: Folder of the workbench.
        devices: How many processes.

    Returns:
        The exit code: 0 where all went well, else that of the process that failed first, 128 and the signal's number for one that
        was killed.
    """
    signals: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    me = this_process()
    # The run is this process, which lives as long as any of the others.
    values = {"heartbeat": now(), "pid": me.pid, "pid_started": me.started}
    with closing(patiently(lambda: connect(home), say)) as connection:
        if not patiently(lambda: store.update(connection, run_id, values), say):
            say(f"Run {run_id} is not to be started any more.")
            return 0
    folder = run_folder(run_id, home)
    meeting = folder / MEETING_FILE
    kills_before = count_memory_kills()
    try:
        meeting.unlink(missing_ok=True)
        command = module_command("workbench.runs.worker", "--home", str(home), "--launcher", str(me.pid), run_id)
        processes = start_ranks(command, devices, home)
        rank, code = wait_for_ranks(processes, signals)
    except (OSError, RunError) as error:
        _end(run_id, home, "failed", f"The training processes could not be started: {error}")
        return 1
    finally:
        with suppress(OSError):
            meeting.unlink(missing_ok=True)
    if code:
        kills = count_memory_kills()
        killed_for_memory = None if kills is None or kills_before is None else kills > kills_before
        status, message = describe_end(code, False, killed_for_memory, folder)
        if code != DISK_FULL_CODE:
            message = f"Process {rank + 1} of the run's {devices} ended, and with it the others. {message}"
        _end(run_id, home, status, message)
    return 128 - code if code < 0 else code


def _end(run_id: str, home: Path, status: Status, message: str) -> None:
    """Write how the run ended; does nothing where one of its processes has."""
    with closing(patiently(lambda: connect(home), say)) as connection:
        if patiently(lambda: store.transition(connection, run_id, status, {"message": message}), say):
            say(message)


def main(arguments: list[str] | None = None) -> int:
    """Carry one claimed run out in several processes."""
    parser = argparse.ArgumentParser(
        prog="python -m workbench.runs.launcher", description="Runs one claimed run on several devices; started by the supervisor."
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("run_id")
    options = parser.parse_args(arguments)
    keep_private()
    return launch(options.run_id, options.home, options.devices)


if __name__ == "__main__":
    sys.exit(main())
