"""Where there is nothing to learn, the verdict rarely says "better"."""

from pathlib import Path

import pytest

from benchmarks.shuffled_labels import ALLOWED, measure


@pytest.mark.slow
def test_shuffled_labels_are_called_better_in_at_most_5_of_100_runs(tmp_path: Path) -> None:
    found = measure(100, tmp_path)
    assert found["outcomes"].get("better", 0) <= ALLOWED, found["outcomes"]
    assert all(verdict["outcome"] != "not_judged" for verdict in found["verdicts"])
    moved = [verdict for verdict in found["verdicts"] if abs(verdict["difference"]) > 0.01]
    assert len(moved) > 50, "the runs do train: most of them move the model"
