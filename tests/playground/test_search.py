import numpy as np
import pytest

from workbench.errors import ConfigError
from workbench.playground import best_hits
from workbench.playground.search import ranks

TEXTS = ["a", "b", "c", "d", "e"]


def test_equal_scores_keep_the_order_of_the_corpus():
    assert ranks(np.array([0.5, 0.9, 0.5, 0.1])).tolist() == [2, 1, 3, 4]


def test_changes_count_places_against_the_other_model():
    first = np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    second = np.array([0.1, 0.8, 0.9, 0.2, 0.7])
    hits = best_hits(first, TEXTS, 3, second)
    assert [(hit.rank, hit.text) for hit in hits] == [(1, "a"), (2, "b"), (3, "c")]
    assert [hit.other_rank for hit in hits] == [5, 2, 1]
    # "a" is not among the other's first three: new, rather than four places up.
    assert [hit.change for hit in hits] == [None, 0, -2]
    assert [hit.change for hit in best_hits(second, TEXTS, 3, first)] == [2, 0, None]


def test_without_another_model_there_is_no_change():
    (hit,) = best_hits(np.array([0.25]), ["only"], 10)
    assert (hit.score, hit.row, hit.other_rank, hit.change) == (0.25, 0, None, None)


def test_none_is_no_number_of_results():
    with pytest.raises(ConfigError, match="`k` must be"):
        best_hits(np.array([0.5]), ["a"], 0)
