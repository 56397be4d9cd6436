import numpy as np
import pytest

from workbench.errors import ConfigError, DataError
from workbench.playground import PRECISIONS, cosines, measure_sizes
from workbench.playground.vectors import bytes_per_vector, reduce_vectors, units, widths_to_try


@pytest.fixture
def vectors():
    return np.random.default_rng(3).normal(size=(40, 64)).astype(np.float32) * 5


def test_units_have_length_one_and_zero_stays_zero(vectors):
    vectors[3] = 0
    lengths = np.linalg.norm(units(vectors), axis=1)
    assert lengths[3] == 0
    np.testing.assert_allclose(np.delete(lengths, 3), 1, rtol=1e-5)
    np.testing.assert_allclose(cosines(vectors[:2], vectors)[0, 0], 1, rtol=1e-5)


def test_a_cut_vector_is_normalised_after_the_cut(vectors):
    short = reduce_vectors(vectors, 16, "float32")
    np.testing.assert_allclose(short, vectors[:, :16] / np.linalg.norm(vectors[:, :16], axis=1, keepdims=True), rtol=1e-5)


def test_int8_is_within_half_a_step_of_each_dimension(vectors):
    whole, coarse = units(vectors), reduce_vectors(vectors, 64, "int8")
    step = np.abs(whole).max(axis=0) / 127
    assert (np.abs(whole - coarse) <= step / 2 + 1e-6).all()
    levels = np.rint(coarse / step)
    assert np.abs(levels).max() == 127 and np.abs(coarse / step - levels).max() < 1e-3


def test_the_cosine_of_binary_vectors_counts_differing_bits(vectors):
    bits = reduce_vectors(vectors, 64, "binary")
    differing = ((vectors[0] > 0) != (vectors[1] > 0)).sum()
    assert set(np.unique(bits)) == {-1.0, 1.0}
    assert cosines(bits[:1], bits)[0, 1] == pytest.approx(1 - 2 * differing / 64, abs=1e-6)


@pytest.mark.parametrize(
    ("width", "precision", "size"), [(384, "float32", 1536), (384, "int8", 384), (384, "binary", 48), (20, "binary", 3)]
)
def test_what_a_vector_takes(width, precision, size):
    assert bytes_per_vector(width, precision) == size


@pytest.mark.parametrize(("width", "precision", "reason"), [(0, "int8", "`width`"), (65, "int8", "1 to 64"), (8, "int4", "int4")])
def test_what_cannot_be_reduced_is_said(vectors, width, precision, reason):
    with pytest.raises(ConfigError, match=reason):
        reduce_vectors(vectors, width, precision)


def test_widths_are_halved_and_stay_useful():
    assert widths_to_try(384) == [384, 192, 96, 48, 24]
    assert widths_to_try(32) == [32, 16, 8]
    assert widths_to_try(6) == [6]


def test_sizes_begin_with_the_full_vector_which_keeps_everything(vectors):
    sizes = measure_sizes(vectors)
    assert [(size.width, size.precision) for size in sizes[:3]] == [(64, name) for name in PRECISIONS]
    assert sizes[0].spearman == pytest.approx(1) and sizes[0].neighbours == 1
    assert sizes[0].bytes == 256 and sizes[0].megabytes_per_million == 256
    by_name = {(size.width, size.precision): size for size in sizes}
    assert 0.99 < by_name[64, "int8"].spearman < 1.0 + 1e-9
    # Random directions: every number dropped costs, and the sign alone costs more than eight bits do.
    assert by_name[64, "binary"].spearman < by_name[64, "int8"].spearman
    kept = [by_name[width, "float32"].spearman for width in (64, 32, 16, 8)]
    assert kept == sorted(kept, reverse=True) and kept[-1] < 0.7
    assert all(0 <= size.neighbours <= 1 for size in sizes)


def test_numbers_that_carry_nothing_can_be_cut_off_for_nothing(vectors):
    vectors[:, 32:] = 0
    half = next(size for size in measure_sizes(vectors) if (size.width, size.precision) == (32, "float32"))
    assert half.spearman == pytest.approx(1) and half.neighbours == 1


def test_two_texts_have_no_ranking_to_keep(vectors):
    with pytest.raises(DataError, match="at least 3"):
        measure_sizes(vectors[:2])
