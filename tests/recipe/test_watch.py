"""The watch-list of a recipe."""

import pytest

from workbench.errors import ConfigError
from workbench.recipe import WATCH_LIMIT, Recipe, parse_watch


def test_one_sentence_a_line() -> None:
    assert parse_watch("  cancel it \n\nwhere is <b>my</b> parcel?\r\ncancel it\n") == ("cancel it", "where is <b>my</b> parcel?")
    assert parse_watch("") == ()


def test_a_recipe_keeps_its_watch_list() -> None:
    recipe = Recipe("a", "b", watch=("größer", "kleiner"))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.to_dict()["watch"] == ["größer", "kleiner"]
    older = recipe.to_dict()
    del older["watch"]
    assert Recipe.from_dict(older).watch == ()


@pytest.mark.parametrize(
    ("watch", "message"),
    [
        ([str(number) for number in range(WATCH_LIMIT + 1)], "up to 12 sentences, got 13"),
        (["  "], "sentences only"),
        ([3], "sentences only"),
        ("one text", "must be a list"),
        (["x" * 1001], "1,001 characters"),
    ],
)
def test_what_is_no_watch_list(watch: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Recipe.from_dict({"base": "a", "data": "b", "watch": watch})
    assert caught.value.field == "watch"
