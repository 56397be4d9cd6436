"""What the browser kept is read with care: it may be anything."""

import json

import pytest

from tests.finished import scored_run
from workbench.playground import ExampleSet, save_examples
from workbench.settings import Settings
from workbench.ui.context import Context
from workbench.ui.pages import playground_updates as updates_of
from workbench.ui.playground_state import KEPT_FIELDS, Kept, keep_script, read_kept


@pytest.fixture
def context(home):
    home.mkdir()
    return Context(Settings(home=home))


@pytest.fixture
def models(monkeypatch):
    """The models of the list."""
    known = ["run", "base:run", "mini", "other"]
    monkeypatch.setattr(updates_of.views, "model_list", lambda context: [(model.title(), model) for model in known])
    return known


class Splits(dict):
    """Components that are their own names."""

    def __missing__(self, name):
        return name


def pick(context, first, second, chosen="", **options):
    """The models and the mark that the page has afterwards."""
    updates = updates_of.choices_view(context, Splits(), first, second, chosen, **options)
    before = {"first": first, "second": second, "chosen": chosen}
    return tuple(updates[name].constructor_args.get("value", value) for name, value in before.items())


def test_what_was_kept_is_read():
    data = {"first": "a", "k": 3, "asked": ["matrix"], "texts": "one\ntwo", "set": "", "unknown": 1, "label": None}
    assert read_kept(json.dumps(data)) == Kept(first="a", k=3, asked=("matrix",), texts="one\ntwo")
    assert {item for item in KEPT_FIELDS} <= set(Kept.__dataclass_fields__)
    assert '"sizes"' in keep_script("sizes") and '"pair_first"' in keep_script()


@pytest.mark.parametrize("wanted", [None, "", "0123456789abcdef", "{broken", '{"k": "many", "asked": 7}'])
def test_what_is_no_such_thing_is_nothing(wanted):
    assert read_kept(wanted) in (None, Kept())


def test_models_are_a_run_beside_its_base_until_somebody_chooses(context, models):
    assert pick(context, None, None) == ("run", "base:run", "")
    assert pick(context, "mini", "mini") == ("run", "base:run", ""), "how the lists stood before there was a run"
    assert pick(context, "mini", "mini", "yes") == ("mini", "mini", "yes")
    assert pick(context, "mini", "other", "", prefer="run") == ("run", "base:run", "yes")


def test_what_stays_is_not_set_anew(context, models):
    updates = updates_of.choices_view(context, Splits(), "mini", "gone", "yes")
    assert all("value" not in updates[name].constructor_args for name in updates), "a choice made meanwhile is not undone"
    assert len(updates["first"].constructor_args["choices"]) == 5
    updates = updates_of.choices_view(context, Splits(), "mini", "gone", "")
    assert [name for name in updates if "value" in updates[name].constructor_args] == ["second"]


def test_what_is_typed_stays_and_what_is_gone_goes(context, models):
    assert pick(context, "mini", "someone/model", "yes") == ("mini", "someone/model", "yes")
    assert pick(context, "20260101-000000-aaaa", "base:20260101-000000-aaaa", "yes")[:2] == ("run", "base:run")
    assert pick(context, "mini", "gone", "")[:2] == ("mini", "run"), "the other one is another one"
    del models[:3]
    assert pick(context, None, None)[:2] == ("other", "other"), "there is no other"


def test_kept_models_come_back_where_they_mean_something(context, models):
    both = {"first": "mini", "second": "mini", "k": 10, "asked": []}
    assert pick(context, None, None, wanted=json.dumps(both))[:2] == ("run", "base:run"), "no one had chosen them"
    assert pick(context, None, None, wanted=json.dumps({**both, "chosen": "yes"})) == ("mini", "mini", "yes")
    offered = json.dumps({"first": "mini", "second": "other", "asked": ["matrix"]})
    assert pick(context, None, None, wanted=offered) == ("mini", "other", ""), "an answer is of these models"
    assert pick(context, "run", "mini", "", wanted=offered)[:2] == ("run", "mini")


def test_a_link_s_models_stay_even_the_same_twice_or_gone(context, models):
    link = save_examples(ExampleSet("mini", "mini"), context.home)
    assert pick(context, None, None, wanted=link) == ("mini", "mini", "yes")
    gone = "20260101-000000-aaaa"
    link = save_examples(ExampleSet(gone, "mini"), context.home)
    assert pick(context, None, None, wanted=link)[:2] == (gone, "mini"), "asking then says that it is gone"


def test_a_file_that_is_gone_leaves_the_typed_texts(context):
    kept = {"view": "map", "texts": "a\nb", "source": "0" * 32, "column": "text", "asked": ["map"]}
    updates = updates_of.open_wanted(context, Splits(), json.dumps(kept))
    assert updates["view"] == "map" and updates["texts"] == "a\nb" and updates["go"] == ""
    assert "gone from the server" in updates["source_note"].value["text"]


def test_the_open_view_is_asked_again_where_it_had_an_answer(context):
    updates = updates_of.open_wanted(context, Splits(), json.dumps({"view": "search", "asked": ["search"], "query": "x", "k": 4}))
    assert (updates["go"], updates["query"], updates["k"]) == ("search", "x", 4)
    updates = updates_of.open_wanted(context, Splits(), json.dumps({"view": "search", "asked": ["matrix"]}))
    assert updates["go"] == ""
    updates = updates_of.open_wanted(context, Splits(), json.dumps({"view": "nonsense", "source": "sample", "column": "sentence1"}))
    assert updates["view"] == "matrix" and updates["source"] == "sample"


def test_real_runs_are_offered_beside_their_base(home, tmp_path, sentences):
    run = scored_run(home, tmp_path, sentences)
    (run.folder / "model").mkdir()
    (run.folder / "model" / "modules.json").write_text("[]")
    context = Context(Settings(home=home))
    assert pick(context, "mini", "mini")[:2] == (run.run_id, f"base:{run.run_id}")
