"""Where pairs stand in their own model, whatever its scale."""

import numpy as np
import pytest

from workbench.playground import scale_floor, stand, tell_groups

MATRIX = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.4], [0.1, 0.4, 1.0]])
PAIRS = ((0, 1), (1, 2), (0, 2))


def at(matrix):
    return [float(matrix[pair]) for pair in PAIRS]


def test_places_count_from_the_closest_pair():
    standing = stand(MATRIX)
    assert at(standing.places) == [1, 2, 3] and np.array_equal(standing.places, standing.places.T)
    assert np.diag(standing.places).tolist() == [0, 0, 0] and standing.matches is None


def test_two_models_that_order_alike_look_alike_without_thresholds():
    squeezed = 0.9 + MATRIX / 10
    assert np.allclose(stand(squeezed).shades, stand(MATRIX).shades)
    assert at(stand(MATRIX).shades) == [1.0, 0.5, 0.0]
    assert at(stand(np.full((3, 3), 0.7)).shades) == [0.5, 0.5, 0.5], "equal pairs are equal"


def test_the_threshold_is_the_middle_and_unrelated_texts_the_end():
    standing = stand(MATRIX, threshold=0.4, unrelated=0.1)
    assert at(standing.shades) == pytest.approx([0.5 + 0.5 * 0.4 / 0.6, 0.5, 0.0])
    assert [bool(standing.matches[pair]) for pair in PAIRS] == [True, True, False]
    assert np.diag(standing.shades).tolist() == [1, 1, 1]
    assert at(stand(MATRIX, 0.4).shades)[2] == 0.0, "without a measurement the lowest cosine is the end"


@pytest.mark.parametrize(("threshold", "unrelated"), [(0.1, 0.5), (1.0, None), (-0.5, None)])
def test_a_strange_threshold_gives_no_strange_colour(threshold, unrelated):
    shades = stand(MATRIX, threshold, unrelated).shades
    assert np.isfinite(shades).all() and shades.min() >= 0 and shades.max() <= 1
    assert ((shades >= 0.5) == (threshold <= MATRIX) | np.eye(3, dtype=bool)).all()


def test_a_scale_begins_at_unrelated_texts():
    assert scale_floor(0.4, 0.1) == 0.1 and scale_floor(0.02, 0.1) == pytest.approx(-0.03)


def test_two_texts_have_one_pair():
    assert stand(MATRIX[:2, :2]).shades[0, 1] == 0.5 and stand(MATRIX[:2, :2]).places[0, 1] == 1


def test_groups_are_told_apart_or_not():
    told = tell_groups(MATRIX, ("a", "a", "b"), 0.3)
    assert (told.within, told.found, told.across, told.mistaken, told.in_order) == (1, 1, 2, 1, 1.0)
    assert tell_groups(MATRIX, ("a", "b", "b")).in_order == 0.5 and tell_groups(MATRIX, ("a", "b", "b")).found is None
    assert tell_groups(np.full((3, 3), 0.7), ("a", "a", "b")).in_order == 0.5
    for labels in ((), ("a", "a", "a"), ("a", "b", "c")):
        assert tell_groups(MATRIX, labels) is None
