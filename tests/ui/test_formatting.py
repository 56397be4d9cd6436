import dataclasses
from pathlib import Path

import numpy as np
import pytest

from workbench.data import Issue, import_file
from workbench.errors import ArchitectureError, ConfigError
from workbench.recipe import ArchitectureSpec, LayerSpec, LossSpec, TrainingConfig
from workbench.runs import Run
from workbench.ui import Context, Draft, formatting

RUN = Run(
    run_id="20261124-120000-abcd",
    name="First <b>",
    kind="train",
    status="completed",
    created="2026-11-24T12:00:00+00:00",
    started=None,
    ended=None,
    step=10,
    total_steps=10,
    epoch=1.0,
    pairs_per_second=5.0,
    seconds=12.0,
    device="cpu",
    message="",
    metrics={"before": {"spearman_cosine": -0.5}, "after": {"spearman_cosine": 0.25, "pearson_cosine": 0.1}},
    primary_metric="spearman_cosine",
    verdict={"outcome": "better", "metric": "spearman_cosine", "before": -0.5, "after": 0.25, "sentence": "It got better."},
    base="/models/tiny",
    data="pairs-1/v1",
    result={},
    folder=Path("runs/20261124-120000-abcd"),
)


def with_run(**changes):
    return dataclasses.replace(RUN, **changes)


@pytest.fixture
def context(settings):
    context = Context(settings)
    yield context
    context.close()


@pytest.fixture
def stored(home, pairs_csv):
    return import_file(pairs_csv, home, columns={"sentence1": "left", "sentence2": "right", "score": "similarity"}, name="pairs")


def test_the_table_of_runs_names_each_fact():
    (row,) = formatting.run_rows([RUN], {"pairs-1/v1": "pairs"})
    shown = dict(zip(formatting.RUN_HEADERS, row, strict=True))
    assert shown["Name"] == "First <b>"
    assert (shown["Base"], shown["Data"]) == ("tiny", "pairs")
    assert (shown["Before"], shown["After"], shown["Verdict"]) == ("−0.5000", "0.2500", "better")
    assert row[formatting.RUN_ID_COLUMN] == RUN.run_id


def found(outcome, drift="none", threshold=0.625):
    return {"general": {"outcome": outcome, "drift": drift}, "threshold": threshold}


@pytest.mark.parametrize(
    ("result", "words", "state"),
    [
        (found("kept"), "general ability kept, threshold 0.62", "ready"),
        (found("lost"), "general ability lost, threshold 0.62", "problem"),
        (found("kept", "strong", None), "general ability kept, unrelated texts look similar", "problem"),
        (
            found("cannot_tell", "noticeable", None),
            "general ability cannot be told, unrelated texts closer to one another",
            "ready",
        ),
    ],
)
def test_both_halves_of_the_verdict_stand_together(result, words, state):
    run = with_run(result=result)
    (row,) = formatting.run_rows([run], {})
    assert dict(zip(formatting.RUN_HEADERS, row, strict=True))["General and threshold"] == words
    last = formatting.flow_steps(Draft(), None, run)[-1]
    assert last["text"] == f"better, −0.500 → 0.250, {words}" and last["state"] == state


def test_a_plan_says_where_no_step_is_picked(context, stored):
    draft = Draft(base="scratch", data=stored.ref)
    assert "validation rows are too few to pick a step, so the last one is kept" in formatting.format_plan(draft, stored, context)
    picks = dataclasses.replace(draft, training=TrainingConfig(validation_fraction=0.4))
    assert "rows pick the best step" in formatting.format_plan(picks, stored, context)


def test_a_run_without_a_verdict_has_dashes():
    (row,) = formatting.run_rows([with_run(verdict=None, status="failed", primary_metric="")], {})
    shown = dict(zip(formatting.RUN_HEADERS, row, strict=True))
    assert (shown["Metric"], shown["Before"], shown["After"], shown["Verdict"]) == ("–", "–", "–", "–")
    assert shown["Data"] == "pairs-1/v1"


def test_the_paragraph_on_a_failed_run_says_why():
    text = formatting.run_details(with_run(status="failed", message="Out of memory.", verdict=None), {})
    assert text.startswith("Failed: tiny on pairs-1/v1")
    assert "Out of memory." in text


def test_the_paragraph_on_a_run_says_where_and_in_which_numbers_it_trained():
    assert "on cpu." in formatting.run_details(with_run(device="cpu", facts={}), {})
    assert "on cpu in bf16." in formatting.run_details(with_run(device="cpu", facts={"precision": "bf16"}), {})


@pytest.mark.parametrize(
    ("changes", "text", "state"),
    [
        ({}, "better, −0.500 → 0.250", "ready"),
        ({"status": "running"}, "running …", "busy"),
        ({"status": "queued", "verdict": None}, "queued …", "busy"),
        ({"status": "failed", "verdict": None}, "failed", "problem"),
        ({"verdict": {"outcome": "worse", "before": 0.5, "after": 0.4}}, "worse, 0.500 → 0.400", "problem"),
        ({"verdict": {"outcome": "not_judged"}}, "completed", "ready"),
    ],
)
def test_the_strip_tells_how_the_last_run_went(changes, text, state):
    step = formatting.flow_steps(Draft(base="scratch"), None, with_run(**changes))[3]
    assert (step["text"], step["state"]) == (text, state)


def test_the_strip_without_anything():
    assert [step["state"] for step in formatting.flow_steps(Draft(base="scratch"), None, None)] == [
        "ready",
        "missing",
        "missing",
        "missing",
    ]


def test_the_strip_with_a_loss_that_does_not_fit(stored):
    steps = formatting.flow_steps(Draft(base="scratch", loss=LossSpec("TripletLoss")), stored, None)
    assert steps[1]["state"] == "ready"
    assert steps[2]["state"] == "problem"


def test_the_strip_with_a_network_that_cannot_be_built():
    assert formatting.flow_steps(Draft(base="scratch"), None, None, "No pooling.")[0]["state"] == "problem"


def following(draft, dataset=None, last=None, problem=""):
    action = formatting.next_action(draft, dataset, last, problem)
    assert action["run"] == (RUN.run_id if action["target"].startswith("train-live") else "")
    return action["tab"], action["target"], action["text"]


def test_what_comes_next_leads_to_what_is_missing(stored):
    ready = Draft(base="scratch", data=stored.ref)
    assert following(Draft(base="scratch"))[:2] == ("data", "data-file")
    assert "is gone" in following(ready)[2]
    assert following(ready, stored)[:2] == ("train", "train-start")
    tab, target, text = following(ready, stored, None, "Add a Pooling layer.")
    assert (tab, target) == ("build", "build-stack") and "Add a Pooling layer." in text
    assert following(Draft(base="scratch", data=stored.ref, loss=LossSpec("TripletLoss")), stored)[:2] == ("train", "train-loss")
    tab, target, text = following(ready, stored, with_run(status="running"))
    assert (tab, target) == ("train", "train-live") and "First <b> is running" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "has ended: better. Next: read the verdict"),
        ({"verdict": {"outcome": "no_clear_difference"}}, "no clear difference. Next: read the verdict"),
        ({"status": "failed", "verdict": None}, "failed. Next: read why"),
        ({"status": "interrupted", "verdict": None}, "was interrupted. Next: read why"),
        ({"status": "stopped", "verdict": None}, "was stopped. Next: see what it left"),
    ],
)
def test_what_comes_after_a_run_until_the_draft_changes(changes, words, stored, tmp_path):
    draft = Draft(base="scratch", data=stored.ref, training=TrainingConfig(epochs=2))
    settled = dataclasses.replace(draft, loss=LossSpec("CoSENTLoss"))
    (tmp_path / "recipe.json").write_text(settled.to_recipe().to_json())
    run = with_run(**changes, folder=tmp_path)
    tab, target, text = following(draft, stored, run)
    assert tab == "train" and words in text
    assert target == ("train-live-verdict" if "verdict" in words else "train-live")
    changed = dataclasses.replace(draft, training=TrainingConfig(epochs=3))
    assert following(changed, stored, run)[1] == "train-start"


def test_a_run_whose_recipe_is_gone_is_no_run_of_the_draft():
    assert not formatting.is_run_of(RUN, Draft(base="scratch", data="pairs-1/v1"))


def test_issues_stand_worst_first():
    issues = [
        Issue("a", "note", 1, (), "A note."),
        Issue("b", "error", 30, tuple(range(1, 21)), "An error."),
        Issue("c", "warning", 2, (4, 7), "A warning."),
    ]
    rows = formatting.issue_rows(issues)
    assert [row[0] for row in rows] == ["error", "warning", "note"]
    assert rows[0][2:] == ["30", "1, 2, 3, 4, 5, 6, 7, 8 …"]
    assert rows[1][2:] == ["2", "4, 7"]
    assert rows[2][3] == ""


def test_pairs_stand_by_how_much_their_order_changed():
    from workbench.playground import stand

    first = np.array([[1.0, 0.9, 0.2, 0.3], [0.9, 1.0, 0.4, 0.1], [0.2, 0.4, 1.0, 0.5], [0.3, 0.1, 0.5, 1.0]])
    second = np.array([[1.0, 0.5, 0.1, 0.3], [0.5, 1.0, 0.4, 0.2], [0.1, 0.4, 1.0, 0.9], [0.3, 0.2, 0.9, 1.0]])
    rows = formatting.pair_rows(["a", "b", "c", "d"], [first, second], [stand(first, 0.45), stand(second)])
    assert rows[0] == ["a", "b", "1. ✓ 0.900", "2. 0.500", "▲ 1"]
    assert rows[1] == ["c", "d", "2. ✓ 0.500", "1. 0.900", "▼ 1"]
    # From 1st to 2nd is more than from 5th to 6th.
    assert [row[4] for row in rows] == ["▲ 1", "▼ 1", "▲ 1", "▼ 1", "=", "="]
    assert {row[2] for row in rows[4:]} == {"3. 0.400", "4. 0.300"}


def test_all_metrics_are_listed():
    assert formatting.metric_rows(RUN.metrics) == [["spearman_cosine", "−0.5000", "0.2500"], ["pearson_cosine", "–", "0.1000"]]
    assert formatting.metric_rows({"before": None, "after": None}) == []


@pytest.mark.parametrize(("base", "words"), [("a/b", "b"), ("/x/y/", "y"), ("C:\\models\\tiny", "tiny"), ("mini", "mini")])
def test_a_base_is_named_without_its_folders(base, words):
    assert formatting.short_base(base) == words


def test_the_plan_names_what_will_run(context, stored):
    draft = Draft(base="scratch", data=stored.ref, training=TrainingConfig(epochs=2, batch_size=10))
    words = formatting.format_plan(draft, stored, context)
    split = context.preview_split(stored.ref, draft.training)
    assert "CoSENTLoss" in words
    assert f"{split.train:,} scored pairs of pairs" in words
    assert f"about {2 * -(-split.train // 10)} steps of 10 rows at learning rate 0.0005" in words
    assert f"{split.test:,} test rows are too few to give the verdict" in words, "said before the start, with what it costs"
    assert "10 further trainings, each on four fifths of the 160 rows and about 26 steps" in words
    plain = dataclasses.replace(draft, training=dataclasses.replace(draft.training, cross_validation="off"))
    assert f"{split.test:,} rows give the verdict" in formatting.format_plan(plain, stored, context)


def test_a_given_test_file_judges_in_place_of_a_part(context, stored):
    draft = Draft(base="scratch", data=stored.ref, test_data=stored.ref)
    assert formatting.split_settings(draft).test_fraction == 0
    assert formatting.split_settings(draft).validation_fraction == draft.training.validation_fraction
    assert f"{stored.rows:,} rows of pairs give the verdict" in formatting.format_plan(draft, stored, context)


def test_a_plan_that_cannot_run_says_why(context, stored):
    with pytest.raises(ConfigError, match="No data set is chosen yet"):
        formatting.format_plan(Draft(base="scratch"), None, context)
    illegal = ArchitectureSpec((LayerSpec("transformer"),))
    with pytest.raises(ArchitectureError, match="add a Pooling layer"):
        formatting.format_plan(Draft(base="scratch", data=stored.ref, architecture=illegal), stored, context)
    assert "is gone" in formatting.format_plan(Draft(base="scratch", data="gone-1/v1"), None, context)
