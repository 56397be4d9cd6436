"""The benchmark of kills counts what it should: nothing after a few kills, and what was left on purpose."""

from pathlib import Path

import pytest

from benchmarks.reliability import FAULTS, Lane, measure, words
from workbench.runs import store
from workbench.runs.database import open_database
from workbench.runs.run import run_folder


@pytest.mark.slow
def test_a_few_kills_leave_nothing_behind() -> None:
    result = measure(kills=3, lanes=1, seed=3)
    assert sum(result["kills"].values()) == 3
    assert result["faults"] == dict.fromkeys(FAULTS, 0) and result["ends"]
    assert "| lost runs | 0 |" in words(result, 3)


def test_what_is_left_behind_is_counted(tmp_path: Path) -> None:
    home, run_id = tmp_path / "home", "20261129-000000-aaaa"
    folder = run_folder(run_id, home)
    with open_database(home) as connection:
        folder.mkdir(parents=True)
        store.insert(connection, run_id, "run", "scratch", "abc/v1", held=True)
        connection.execute("UPDATE runs SET status = 'completed'")
    lane = Lane(home, 0)
    nothing = dict.fromkeys(FAULTS, 0)
    assert lane.faults() == {**nothing, "unreadable models": 1}, "a completed run has a model"
    for name in ("models/0001-step-3", "models/0002-step-6", "checkpoints", ".writing-12"):
        (folder / name).mkdir(parents=True)
    (home / "runs" / "20261129-000000-abcd").mkdir()
    lane.announced = {"20261129-000000-lost"}
    assert lane.faults() == {**nothing, "lost runs": 1, "unreadable models": 1, "files left behind": 4}
    with open_database(home) as connection:
        connection.execute("UPDATE runs SET status = 'queued'")
    assert lane.faults()["stuck runs"] == 1
