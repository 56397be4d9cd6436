"""The benchmark of kills counts what it should, on a few of them."""

import pytest

from benchmarks.reliability import FAULTS, measure, words

pytestmark = pytest.mark.slow


def test_a_few_kills_leave_nothing_behind() -> None:
    result = measure(kills=3, lanes=1, seed=3)
    assert sum(result["kills"].values()) == 3
    assert result["faults"] == dict.fromkeys(FAULTS, 0) and result["ends"]
    assert "| lost runs | 0 |" in words(result, 3)
