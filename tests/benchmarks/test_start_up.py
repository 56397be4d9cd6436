"""The stages until a run's first step are told apart by what the run writes."""

from pathlib import Path

from benchmarks.start_up import STAGES, stage_seconds
from workbench.runs import list_runs


def test_every_stage_of_a_real_run_is_seen_in_its_order(home: Path) -> None:
    seconds = stage_seconds(home)
    assert list(seconds) == list(STAGES)
    assert all(value >= 0 for value in seconds.values())
    assert sum(seconds.values()) > 0.5, "importing torch alone takes longer"
    assert [run.status for run in list_runs(home)] == ["stopped"]
