"""The statuses of a run and which may follow which: the only place that knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Status = Literal["queued", "running", "stopping", "completed", "stopped", "failed", "interrupted"]

STATUSES: tuple[Status, ...] = get_args(Status)

TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    "queued": frozenset({"running", "stopped"}),
    "running": frozenset({"stopping", "completed", "failed", "interrupted"}),
    "stopping": frozenset({"completed", "stopped", "failed", "interrupted"}),
    "completed": frozenset(),
    "stopped": frozenset(),
    "failed": frozenset(),
    "interrupted": frozenset(),
}
"""Status -> what it may become. A run that ended stays as it ended."""

ACTIVE: frozenset[Status] = frozenset(status for status, following in TRANSITIONS.items() if following)
"""Statuses of a run that has not ended."""

WITH_PROCESS: frozenset[Status] = frozenset({"running", "stopping"})
"""Statuses of a run that has a process."""


def may_become(status: Status) -> tuple[Status, ...]:
    """Return the statuses from which `status` may be reached, in the order of `STATUSES`."""
    return tuple(before for before in STATUSES if status in TRANSITIONS[before])
