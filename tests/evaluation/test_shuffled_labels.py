"""Where there is nothing to learn, the verdict rarely says "better"."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.shuffled_labels import ALLOWED, SERIES, measure, summary


@pytest.mark.slow
@pytest.mark.parametrize(("kept", "moved"), [("best step", 15), ("last step", 50)])
def test_shuffled_labels_are_called_better_in_at_most_5_of_100_runs(kept: str, moved: int, tmp_path: Path) -> None:
    found = summary(list(measure(100, kept, tmp_path)))
    assert found["outcomes"].get("better", 0) <= ALLOWED, Counter(found["outcomes"])
    assert "not_judged" not in found["outcomes"]
    assert found["moved"] > moved, "the runs do train: many of them move the model"


def test_every_series_is_tested() -> None:
    assert set(SERIES) == {"best step", "last step"}
