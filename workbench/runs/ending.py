"""How a process ended, as text: for the supervisor, for the launcher, and for whoever finds a run dead."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

from workbench.runs.run import LOG_FILE
from workbench.runs.states import Status
from workbench.training.meeting import MEETING_FILE

DISK_FULL_CODE = 74
"""Exit code of a run that a full disk has ended, which could therefore write it nowhere."""
DISK_FULL = "The disk is full; free some space (old runs take the most, `tokens/` may be deleted) and start the run again."
STOPPED_BY_FORCE = "It did not stop when asked to and was ended; its latest model was not saved."

_DISK_FULL_WORDS = ("No space left on device", "disk is full", "Disk quota exceeded")
_LOG_END = 8192


def says_disk_full(text: str) -> bool:
    """Return whether an error's text is that of a full disk."""
    return any(words in text for words in _DISK_FULL_WORDS)


def describe_end(code: int, stopped_by_force: bool, killed_for_memory: bool | None, folder: Path) -> tuple[Status, str]:
    """Return status and message for a run whose process ended without writing how.

    Args:
        code: Exit code; the negative number of the signal that ended it.
        stopped_by_force: Whether it was ended because it did not honour a stop request.
        killed_for_memory: Whether the machine killed something for lack of memory meanwhile; None where that is not known.
        folder: The run's, whose log it has written.
    """
    if stopped_by_force:
        return "stopped", STOPPED_BY_FORCE
    if code == DISK_FULL_CODE or says_disk_full(_log_end(folder)):
        return "failed", DISK_FULL
    log = f"the end of its {LOG_FILE} may say why"
    if code >= 0:
        return "failed", f"The training process ended with exit code {code} without saying why; {log}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL" and killed_for_memory:
        return "interrupted", (
            "The machine's memory ran out and the system killed the training process; "
            "set a smaller `micro_batch_size` or `batch_size`."
        )
    if name == "SIGKILL":
        guess = "" if killed_for_memory is False else ", most often because the machine's memory ran out"
        return "interrupted", f"The training process was killed from outside (SIGKILL){guess}."
    if name in {"SIGTERM", "SIGINT", "SIGHUP"}:
        return "interrupted", f"The training process was ended from outside ({name})."
    return "failed", f"The training process crashed ({name}); {log}."


def describe_death(folder: Path) -> tuple[Status, str]:
    """Return status and message for a run whose process is found gone, no one knows since when.

    Args:
        folder: The run's, whose log it has written.
    """
    if says_disk_full(_log_end(folder)):
        return "failed", DISK_FULL
    return "interrupted", "The training process exited without reporting a status (killed or power cut)."


def clear_up(folder: Path) -> None:
    """Remove what the processes of a run needed of each other and, killed, could not remove."""
    with suppress(OSError):
        (folder / MEETING_FILE).unlink(missing_ok=True)


def count_memory_kills() -> int | None:
    """Return how many processes Linux has killed for lack of memory since it was started; None elsewhere."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    counts = [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return counts[0] if counts else None


def _log_end(folder: Path) -> str:
    try:
        with (folder / LOG_FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LOG_END))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
