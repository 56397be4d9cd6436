"""Processes by pid and start: a pid alone is given to someone else sooner or later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, NoReturn

import psutil

import workbench

_PARENT_SECONDS = 0.5


@dataclass(frozen=True)
class ProcessId:
    """One process, for as long as the machine remembers.

    Attributes:
        pid: Its number.
        started: A mark of when it was started; equal only for the same process.
    """

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that ended and waits to be collected by its parent does not."""
        return identify(self.pid) == self


def identify(pid: int) -> ProcessId | None:
    """Return the identity of a running process, None where there is none."""
    try:
        process = psutil.Process(pid)
        if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return None
        return ProcessId(pid, _start_mark(process))
    except (psutil.Error, OSError, ValueError):
        return None


def this_process() -> ProcessId:
    """Return the identity of the calling process."""
    found = identify(os.getpid())
    assert found is not None
    return found


def say(text: str) -> None:
    """Write a line with the time to stdout, which is a log; one that cannot be written (the disk is full) is left out."""
    with suppress(OSError):
        sys.stdout.write(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}\n")
        sys.stdout.flush()


def end_with_parent(parent_pid: int | None = None) -> None:
    """See to it that this process ends when the one that started it is gone, however that ended and whatever happens here.

    Args:
        parent_pid: Who started it, as that one said; it may be gone before this is called. None takes whoever is the parent now.
    """
    orphaned = parent_pid is not None and os.getppid() != parent_pid
    parent = None if orphaned else identify(os.getppid())

    def watch() -> None:
        while parent is not None and parent.alive:
            time.sleep(_PARENT_SECONDS)
        # As hard as it gets: the main thread may wait in C code for a process that will never answer.
        os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def leave(code: int) -> NoReturn:
    """End this process at once, its work being done and written.

    What the interpreter and C++ libraries tear down on the way out goes wrong now and then: with several processes, two of nine
    runs aborted there ("terminate called without an active exception"), and all of their processes were taken for failed.

    Args:
        code: The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _start_mark(process: psutil.Process) -> str:
    if sys.platform.startswith("linux"):
        # There psutil derives create_time from the wall clock, which a time server or a resumed laptop may move while the
        # process lives. The kernel's own ticks since boot do not move. (Field 22; the name, field 2, may hold spaces.)
        ticks = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()}:{ticks}"
    return f"{process.create_time():.3f}"


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def child_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child process: this one's, so that it finds this very package and nothing by accident.

    Args:
        changes: Variables to set on top.
    """
    environment = dict(os.environ)
    package_root = str(Path(workbench.__file__).resolve().parent.parent)
    others = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != package_root]
    environment["PYTHONPATH"] = os.pathsep.join([package_root, *others])
    # Without this, `python -m` would import from the current folder, which holds users' files.
    environment["PYTHONSAFEPATH"] = "1"
    # Which process of several this one is, is not what its children are.
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"):
        environment.pop(name, None)
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    # Threads that wait for one another by spinning for long keep each other from the cores of a busy machine: with another program
    # on one of two cores, a step of a small encoder took over 30 times as long. Spinning this briefly costs nothing on an idle one.
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", "1000")
    environment.update(changes or {})
    return environment


def start_process(
    command: Sequence[str],
    folder: Path,
    output: IO[bytes],
    environment: Mapping[str, str] | None = None,
    detached: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one: its own session, no terminal, output to a file and never a pipe.

    Args:
        command: Program and arguments.
        folder: Its current folder.
        output: Where stdout and stderr go.
        environment: Variables to set on top of this process's.
        detached: Whether it gets no console at all (Windows only; elsewhere none has one).

    Raises:
        OSError: If it cannot be started.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | (subprocess.DETACHED_PROCESS if detached else subprocess.CREATE_NO_WINDOW)
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=child_environment(environment),
        start_new_session=True,
        creationflags=flags,
        close_fds=True,
    )


def terminate_tree(identity: ProcessId, force: bool) -> None:
    """End a process; with `force` also all it started, at once.

    Args:
        identity: Which; nothing happens where that process is gone.
        force: Kill instead of asking to terminate.
    """
    if not identity.alive:
        return
    try:
        process = psutil.Process(identity.pid)
        if not force:
            process.terminate()
            return
        for each in [*process.children(recursive=True), process]:
            _kill(each)
    except psutil.NoSuchProcess:
        return


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
