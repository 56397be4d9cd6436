"""A corrected version of a data set: beside the old one, under the same split."""

import pytest

from tests.data.test_splits import grouped, write
from workbench.data import correct_dataset, import_file, open_dataset, open_splits, preview_split
from workbench.errors import DataError
from workbench.recipe import Recipe, TrainingConfig

TRAINING = TrainingConfig(validation_fraction=0.15, test_fraction=0.3)
FRACTIONS = (0.15, 0.3)


def texts(part) -> list[str]:
    return list(part["sentence2"])


@pytest.fixture
def stored(tmp_path, home):
    return import_file(write(tmp_path / "pairs.csv", grouped(300, 2)), home)


def test_values_change_rows_go_and_the_old_version_stays(stored, home) -> None:
    new = correct_dataset(stored.ref, home, {0: 0.25, 7: 1.0}, [3, 5], None)
    assert new.ref == stored.ref.replace("/v1", "/v2") and new.parent == stored.ref
    assert new.name == "pairs.csv (corrected, v2)" and new.rows == stored.rows - 2 == len(new.table())
    assert new.table()["score"][0] == 0.25 and new.table()["score"][5] == 1.0
    assert texts(new.table())[:4] == ["text b 0", "text b 1", "text b 2", "text b 4"]
    assert open_dataset(stored.ref, home).rows == stored.rows
    again = correct_dataset(new.ref, home, {0: 0.5}, [], None)
    assert again.name == "pairs.csv (corrected, v3)" and again.parent == new.ref


def test_the_same_file_never_gives_the_corrected_rows(tmp_path, stored, home) -> None:
    correct_dataset(stored.ref, home, {0: 0.0}, [], None)
    assert import_file(tmp_path / "pairs.csv", home).ref == stored.ref


def test_the_split_is_kept(stored, home) -> None:
    recipe = Recipe("scratch", stored.ref, training=TRAINING)
    old = open_splits(recipe, home)
    assert old.split is not None and old.test_rows is not None
    table = stored.table()
    assert [table["sentence2"][place] for place in old.test_rows] == texts(old.test)
    gone = [int(place) for place in old.test_rows[:3]]
    new = correct_dataset(stored.ref, home, {int(old.test_rows[5]): 0.125}, gone, (old.split, FRACTIONS, TRAINING.seed))
    parts = open_splits(recipe.replace(data=new.ref), home)
    assert texts(parts.train) == texts(old.train)
    assert texts(parts.validation) == texts(old.validation)
    assert texts(parts.test) == texts(old.test)[3:]
    assert parts.test["score"][2] == 0.125
    assert [new.table()["sentence2"][place] for place in parts.test_rows] == texts(parts.test)
    assert preview_split(new.ref, home, TRAINING).test == len(parts.test)
    other = open_splits(
        recipe.replace(data=new.ref, training=TrainingConfig(validation_fraction=0.15, test_fraction=0.3, seed=1)), home
    )
    assert texts(other.test) != texts(parts.test), "another seed asks for another split"


def test_the_split_is_kept_beside_a_validation_file(tmp_path, stored, home) -> None:
    held = import_file(
        write(tmp_path / "validation.csv", [*grouped(40, 2)[:10], *grouped(60, 2, prefix="else")]), home, score_scale=(0, 5)
    )
    recipe = Recipe("scratch", stored.ref, validation_data=held.ref, training=TRAINING)
    old = open_splits(recipe, home)
    assert old.dropped == 10 and len(old.validation) == 70
    new = correct_dataset(stored.ref, home, {}, [int(old.test_rows[0])], (old.split, (0.0, 0.3), TRAINING.seed))
    parts = open_splits(recipe.replace(data=new.ref), home)
    assert texts(parts.train) == texts(old.train) and texts(parts.test) == texts(old.test)[1:]


def test_rows_of_a_given_test_file_have_their_own_places(tmp_path, stored, home) -> None:
    held = import_file(write(tmp_path / "test.csv", grouped(60, 2, prefix="else")), home, score_scale=(0, 5))
    parts = open_splits(Recipe("scratch", stored.ref, test_data=held.ref, training=TRAINING), home)
    assert parts.test_rows.tolist() == list(range(60))


def test_a_class_that_was_not_there_is_added(tmp_path, home) -> None:
    rows = [(f"a {i}", f"b {i}", "xyz"[i % 3]) for i in range(30)]
    stored = import_file(write(tmp_path / "classes.csv", rows, ("sentence1", "sentence2", "label")), home)
    new = correct_dataset(stored.ref, home, {0: "z", 1: "new"}, [], None)
    assert new.classes == (*stored.classes, "new")
    assert [new.classes[number] for number in new.table()["label"][:3]] == ["z", "new", "z"]


def test_a_data_set_that_is_gone(home) -> None:
    with pytest.raises(DataError, match="no data set"):
        correct_dataset("nothing/v1", home, {}, [0], None)
