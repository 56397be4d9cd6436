"""One supervisor a home: a lock that the operating system gives back when its holder dies, however it dies."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.runs.process import ProcessId, this_process
from workbench.settings import prepare_home

LOCK_FILE = "supervisor.lock"
_LOCKED_BYTE = 1 << 20  # beyond the text: Windows lets no one read a locked byte


class SupervisorLock:
    """The right to start runs in a home.

    The file also names its holder, for those who only want to know. It is never removed: a removed lock file can be
    held twice.

    Args:
        home: Folder of the workbench.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / LOCK_FILE
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; return whether it is ours now.

        Raises:
            OSError: If the file cannot be written.
        """
        prepare_home(self._path.parent)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not try_lock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        holder = this_process()
        try:
            self._write(json.dumps({"pid": holder.pid, "started": holder.started}))
        except OSError:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Give the lock back; the name goes first, so no one takes a leaving supervisor for a working one."""
        assert self._descriptor is not None
        self._write("")
        os.close(self._descriptor)
        self._descriptor = None

    def _write(self, text: str) -> None:
        assert self._descriptor is not None
        # Written over what is there before it is cut off: on a full disk that needs no space.
        data = text.encode()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, data)
        os.ftruncate(self._descriptor, len(data))


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Run a block while no one else who names the same lock file runs one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not try_lock(descriptor):
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def supervisor_of(home: Path) -> ProcessId | None:
    """Return the supervisor that works in a home, None where none does."""
    try:
        values = json.loads((home / LOCK_FILE).read_text(encoding="utf-8"))
        holder = ProcessId(int(values["pid"]), str(values["started"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return holder if holder.alive else None


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Lock an open file without waiting; return whether it is ours now, until it is closed."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file without waiting; return whether it is ours now, until it is closed."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
