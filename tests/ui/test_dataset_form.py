import pytest

from workbench.errors import ConfigError, DataError
from workbench.recipe import KINDS, LossSpec
from workbench.ui import Context, dataset_form, load_draft, update_draft
from workbench.ui.uploads import SAMPLE, store_upload

MAPPING = {"sentence1": "left", "sentence2": "right", "score": "similarity"}


@pytest.fixture
def context(settings):
    return Context(settings)


def test_every_kind_can_be_chosen():
    assert {kind.roles for kind in KINDS.values()} | {("anchor", "positive", "label")} == set(dataset_form.SHAPES.values())
    assert set(dataset_form.SHAPE_WORDS) == set(dataset_form.SHAPES)
    assert set(dataset_form.ROLE_WORDS) == {role for roles in dataset_form.SHAPES.values() for role in roles}


def test_a_mapping_needs_every_role():
    assert dataset_form.mapping_of("anchor+positive", ["q", "a", None]) == {"anchor": "q", "positive": "a"}
    assert dataset_form.mapping_of("anchor+positive", ["q", None, None]) is None
    assert dataset_form.mapping_of("nothing", ["q"]) is None


def test_the_score_range_of_the_form():
    assert dataset_form.scale_of("auto", None, None) is None
    assert dataset_form.scale_of("1-5", None, None) == (1.0, 5.0)
    assert dataset_form.scale_of("custom", -1, 1) == (-1.0, 1.0)
    for low, high in [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)]:
        with pytest.raises(ConfigError, match="must go from a number to a larger one"):
            dataset_form.scale_of("custom", low, high)
    with pytest.raises(ConfigError, match="both the lowest and the highest"):
        dataset_form.scale_of("custom", None, 1)


def test_using_a_data_set_puts_it_into_the_draft(context, home, pairs_csv):
    update_draft(home, loss=LossSpec("TripletLoss"), allow_leaking_split=True)
    draft = dataset_form.use_dataset(context, store_upload(pairs_csv, home), MAPPING, None, "")
    assert draft == load_draft(home)
    assert draft.data is not None
    assert draft.loss is None, "an objective that does not fit is dropped"
    assert not draft.allow_leaking_split
    assert dataset_form.stored_choices(context)[0][1] == draft.data


def test_an_objective_that_fits_stays(context, home, pairs_csv):
    update_draft(home, loss=LossSpec("CosineSimilarityLoss"))
    draft = dataset_form.use_dataset(context, store_upload(pairs_csv, home), MAPPING, None, "")
    assert draft.loss == LossSpec("CosineSimilarityLoss")


def test_a_test_file_of_another_kind_is_refused(context, home, pairs_csv, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("anchor,positive\n" + "".join(f"question {index} here,answer {index} there\n" for index in range(20)))
    with pytest.raises(DataError, match="both must hold the same kind"):
        dataset_form.use_dataset(context, store_upload(pairs_csv, home), MAPPING, None, store_upload(other, home))
    assert load_draft(home).data is None


def test_the_sample_data_comes_with_its_test_file(context):
    draft = dataset_form.use_dataset(context, SAMPLE, None, None, SAMPLE)
    assert draft.data is not None
    assert draft.data.startswith("support-pairs-")
    assert draft.test_data is not None
    assert draft.test_data.startswith("support-pairs-heldout-")
