"""Tokens as one array read like the lists they come from."""

import numpy as np
import pytest

from workbench.models.token_ids import TokenIds

ROWS = [[5], [7, 8], [], [1, 2, 3]]


def test_it_reads_like_the_lists() -> None:
    ids = TokenIds.of(ROWS)
    assert list(ids) == ROWS and len(ids) == 4 and ids[-1] == [1, 2, 3]
    assert ids.flat.dtype == ids.lengths.dtype == np.int64
    assert TokenIds.of(ids) is ids
    with pytest.raises(IndexError):
        _ = ids[4]


@pytest.mark.parametrize("place", [slice(0, 2), slice(1, None), slice(2, 2), slice(3, 9), slice(-2, None)])
def test_a_part_of_it(place: slice) -> None:
    assert list(TokenIds.of(ROWS)[place]) == ROWS[place]


def test_of_nothing() -> None:
    assert list(TokenIds.of([])) == []
