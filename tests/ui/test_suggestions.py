"""What the data set in use suggests to the Train form."""

import dataclasses

import pytest

from workbench.data import import_file
from workbench.recipe import LossSpec, TrainingConfig, suggest_training
from workbench.ui import Context, Draft, load_draft, save_draft
from workbench.ui.suggestions import differs, find_suggestion, follow_suggestion, suggestion_words, watched


@pytest.fixture
def context(settings):
    context = Context(settings)
    yield context
    context.close()


@pytest.fixture
def stored(home, pairs_csv):
    return import_file(pairs_csv, home, columns={"sentence1": "left", "sentence2": "right", "score": "similarity"}, name="pairs")


@pytest.fixture
def draft(home, stored):
    draft = Draft(base="scratch", data=stored.ref)
    save_draft(home, draft)
    return draft


def test_it_is_made_for_the_rows_that_train(context, draft, stored):
    split = context.preview_split(stored.ref, draft.training)
    assert find_suggestion(context, draft, stored) == suggest_training("scored_pairs", split.train)
    assert find_suggestion(context, draft, None) is None


def test_an_objective_that_does_not_fit_is_left_out(context, draft, stored):
    wrong = dataclasses.replace(draft, loss=LossSpec("MultipleNegativesRankingLoss"))
    assert find_suggestion(context, wrong, stored) == find_suggestion(context, draft, stored)


def test_only_what_nobody_touched_follows(context, draft, stored, home):
    own = dataclasses.replace(draft, training=TrainingConfig(epochs=2.5), touched=("epochs",))
    save_draft(home, own)
    followed = follow_suggestion(context, own, stored)
    suggestion = find_suggestion(context, own, stored)
    assert followed.training.epochs == 2.5
    assert followed.training.batch_size == suggestion.batch_size != TrainingConfig().batch_size
    assert load_draft(home) == followed
    assert followed.touched == ("epochs",)
    assert follow_suggestion(context, followed, stored) is followed, "nothing more to change"


def test_the_words_name_the_rows_the_values_and_what_was_set_otherwise(context, draft, stored):
    suggestion = find_suggestion(context, draft, stored)
    followed = follow_suggestion(context, draft, stored)
    words = suggestion_words(suggestion, followed, context.describe_base("scratch"))
    assert f"Suggested for {suggestion.rows} training rows: {suggestion.epochs:g} epochs" in words
    assert "auto is 0.0005" in words and "otherwise" not in words
    assert not differs(suggestion, followed)
    other = dataclasses.replace(followed, training=dataclasses.replace(followed.training, epochs=2, learning_rate=1e-4))
    words = suggestion_words(suggestion, other, context.describe_base("scratch"))
    assert words.endswith("You have set epochs otherwise.") and "auto" not in words
    assert differs(suggestion, other)
    narrow = suggestion_words(suggestion, followed, context.describe_base("mini"))
    assert "auto is 0.0003" in narrow and "only 144 wide" in narrow
    assert suggestion_words(None, draft, None) == "" and not differs(None, draft)


def test_sentences_to_watch_come_from_the_data_until_the_user_names_some(context, draft, stored):
    table = stored.table()
    sentences = watched(context, draft, stored)
    assert 4 <= len(sentences) <= 6
    assert set(sentences) <= {*table["sentence1"], *table["sentence2"]}
    assert watched(context, dataclasses.replace(draft, watch=()), stored) == ()
    assert watched(context, dataclasses.replace(draft, watch=("mine",)), stored) == ("mine",)
    assert watched(context, draft, None) == ()
