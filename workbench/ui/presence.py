"""Which servers use a home: each holds the lock of a file of its own for as long as it lives."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from workbench.runs import try_lock

SERVERS_FOLDER = "servers"


class Presence:
    """One server's mark in a home.

    The operating system gives the lock back however the server ends, so a mark without one is of a server that is gone.

    Args:
        home: Folder of the workbench, which exists.

    Attributes:
        alone: Whether no other server used the home when this one came; False where that cannot be told.
    """

    def __init__(self, home: Path) -> None:
        self._descriptor: int | None = None
        folder = home / SERVERS_FOLDER
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._path = self._enter(folder)
            self.alone = all([_gone(path) for path in folder.iterdir() if path != self._path])
        except OSError:
            self.alone = False

    def leave(self) -> None:
        """Take the mark away."""
        if self._descriptor is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def _enter(self, folder: Path) -> Path:
        while True:
            path = folder / secrets.token_hex(8)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            # Between the two calls another server may have taken the mark for that of a dead one.
            if try_lock(descriptor) and path.exists():
                self._descriptor = descriptor
                return path
            os.close(descriptor)


def _gone(path: Path) -> bool:
    """Return whether the server of a mark is gone, and clear the mark away."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        if not try_lock(descriptor):
            return False
        with suppress(OSError):  # an open file cannot be removed on Windows
            path.unlink()
        return True
    finally:
        os.close(descriptor)
