import pytest

from workbench.number_text import decimal, signed


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (0.1234, "0.123", "+0.123"),
        (-0.1234, "−0.123", "−0.123"),
        (0.0, "0.000", "0.000"),
        (-0.0001, "0.000", "0.000"),
        (0.0001, "0.000", "0.000"),
        (-12.5, "−12.500", "−12.500"),
    ],
)
def test_a_number_has_one_minus_sign_and_a_zero_none(value, plain, with_sign):
    assert (decimal(value, 3), signed(value, 3)) == (plain, with_sign)


def test_places_may_be_none():
    assert (decimal(-7.4, 0), signed(0.4, 0), signed(7.4, 0)) == ("−7", "0", "+7")
