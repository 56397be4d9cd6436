from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.errors import ConfigError
from workbench.models import DEFAULT_BASE
from workbench.recipe import SUGGESTED, ArchitectureSpec, LayerSpec, LossSpec, TrainingConfig
from workbench.ui import Draft, load_draft, save_draft, update_draft


def test_a_new_home_has_a_default_draft(home):
    draft = load_draft(home)
    assert draft == Draft()
    assert draft.base == DEFAULT_BASE
    assert not home.exists(), "reading must not create anything"


def test_what_is_saved_is_read_back(home):
    draft = Draft(
        base="scratch",
        architecture=ArchitectureSpec(
            (LayerSpec("transformer"), LayerSpec("pooling", {"pooling_mode": ("mean", "max")}), LayerSpec("normalize"))
        ),
        data="abc/v2",
        score_scale=(0, 5),
        test_data="def/v1",
        loss=LossSpec("CoSENTLoss", {"scale": 12.0}),
        training=TrainingConfig(epochs=1.5, learning_rate=3e-5),
        name="Überlauf <b>",
        watch=("eins", "zwei"),
        touched=("epochs",),
    )
    save_draft(home, draft)
    assert load_draft(home) == draft
    assert [path.name for path in home.iterdir()] == ["draft.json"], "no temporary file stays behind"


def test_an_illegal_stack_is_kept_while_it_is_edited(home):
    stack = ArchitectureSpec((LayerSpec("pooling"),))
    assert update_draft(home, architecture=stack).architecture == stack
    assert load_draft(home).architecture == stack


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"training": {"epochs": -1}}', '{"architecture": [{"kind": "gone"}]}', '{"architecture": 3}']
)
def test_a_file_that_cannot_be_read_gives_a_fresh_draft(home, text):
    home.mkdir()
    (home / "draft.json").write_text(text)
    assert load_draft(home) == Draft()


def test_a_field_of_a_later_version_is_left_out(home):
    home.mkdir()
    (home / "draft.json").write_text('{"base": "scratch", "colour": "red"}')
    assert load_draft(home) == Draft(base="scratch")


def test_updates_at_the_same_time_do_not_lose_each_other(home):
    changes = [{"name": "n"}, {"data": "a/v1"}, {"base": "scratch"}, {"test_data": "b/v1"}] * 5
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda change: update_draft(home, **change), changes))
    draft = load_draft(home)
    assert (draft.name, draft.data, draft.base, draft.test_data) == ("n", "a/v1", "scratch", "b/v1")


def test_a_draft_without_data_is_no_recipe_yet():
    with pytest.raises(ConfigError, match="No data set is chosen yet"):
        Draft().to_recipe()


def test_a_draft_with_data_is_a_recipe():
    recipe = Draft(base="scratch", data="abc/v1", name="x").to_recipe()
    assert (recipe.base, recipe.data, recipe.name) == ("scratch", "abc/v1", "x")
    assert recipe.architecture == ArchitectureSpec.default()


def test_whoever_gives_settings_means_them(home):
    assert update_draft(home, training=TrainingConfig()).touched == SUGGESTED
    assert update_draft(home, training=TrainingConfig(epochs=2), touched=()).touched == ()


def test_a_watch_list_nobody_touched_is_none_in_the_recipe():
    assert Draft(data="abc/v1").to_recipe().watch == ()
    assert Draft(data="abc/v1", watch=("a",)).to_recipe().watch == ("a",)


def test_a_home_that_cannot_be_written_is_said_in_words(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        save_draft(file, Draft())
