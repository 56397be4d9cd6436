"""Starting the supervisor when a run waits and none works."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import RunError
from workbench.runs.lock import supervisor_of
from workbench.runs.process import module_command, start_process
from workbench.settings import prepare_home

SUPERVISOR_LOG = "supervisor.log"
_PAUSE_AFTER_FAILURE = 10.0


@dataclass(frozen=True)
class _Spawned:
    process: subprocess.Popen[bytes]
    at: float


_spawned: dict[Path, _Spawned] = {}
_guard = threading.Lock()


def ensure_supervisor(home: Path) -> None:
    """Start a supervisor unless one works in this home.

    Two that are started at once settle it by the lock; the second leaves.

    Raises:
        RunError: If it cannot be started.
    """
    home = home.resolve()
    with _guard:
        if supervisor_of(home) is not None:
            return
        last = _spawned.get(home)
        if last is not None:
            code = last.process.poll()
            starting = code is None
            # One that fails at once would otherwise be started again at every look at the history.
            failed_just_now = code not in (None, 0) and time.monotonic() - last.at < _PAUSE_AFTER_FAILURE
            if starting or failed_just_now:
                return
        try:
            prepare_home(home)
            with (home / SUPERVISOR_LOG).open("ab") as log:
                process = start_process(module_command("workbench.runs.supervisor", "--home", str(home)), home, log, detached=True)
        except OSError as error:
            raise RunError(f"The supervisor that starts runs could not be started: {error}.") from None
        _spawned[home] = _Spawned(process, time.monotonic())
