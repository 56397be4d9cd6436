"""The Train form: how it is filled, what it follows, and who wins."""

from __future__ import annotations

import dataclasses
import math
import re
import threading

import pytest
from playwright.sync_api import expect

from workbench.data import import_file, preview_split
from workbench.recipe import TrainingConfig, suggest_training
from workbench.runs import list_runs, submit
from workbench.ui import Draft, load_draft, save_draft, update_draft
from workbench.ui.pages import train

pytestmark = pytest.mark.browser


@pytest.fixture
def stored(home, pairs_csv):
    return import_file(pairs_csv, home, columns={"sentence1": "left", "sentence2": "right", "score": "similarity"}, name="pairs")


def field(page, name):
    return page.locator(f"#train-{name} :is(input, textarea)").first


def notice(page, name):
    return page.locator(f"#{name} .wb-notice")


def use_stored(page, ref):
    """Put a data set that is already there into the draft, on the open Data tab."""
    choice = page.locator("#data-stored input")
    if not choice.is_visible():
        page.get_by_role("button", name="Your data sets").click()
    choice.click()
    page.get_by_role("option", name=ref).click()
    page.locator("#data-use-stored").click()


def test_what_is_typed_before_the_form_is_filled_stays_and_the_rest_is_filled(open_tab, stored, home, monkeypatch):
    update_draft(home, base="scratch", data=stored.ref, training=TrainingConfig(epochs=2, batch_size=16, seed=7), name="old")
    gate, load = threading.Event(), train.load_form

    def load_late(*arguments):
        assert gate.wait(600)
        return load(*arguments)

    monkeypatch.setattr(train, "load_form", load_late)
    page = open_tab("Train")
    expect(field(page, "epochs")).to_have_value("3")
    field(page, "epochs").fill("7")
    field(page, "name").fill("mine")
    expect(page.locator("#train-start")).to_be_disabled()
    assert load_draft(home).training == TrainingConfig(epochs=2, batch_size=16, seed=7), "half a form is never saved"
    gate.set()
    expect(field(page, "batch-size")).to_have_value("16")
    expect(page.locator("#train-start")).to_be_enabled()
    expect(field(page, "epochs")).to_have_value("7")
    expect(field(page, "name")).to_have_value("mine")
    rows = preview_split(stored.ref, home, TrainingConfig(seed=7)).train
    steps = TrainingConfig(epochs=7).total_steps(math.ceil(rows / 16))
    expect(notice(page, "train-plan")).to_contain_text(f"about {steps} steps of 16 rows")
    draft = load_draft(home)
    assert (draft.training, draft.name) == (TrainingConfig(epochs=7, batch_size=16, seed=7), "mine")


def test_settings_follow_the_data_until_they_are_touched(open_tab, stored, home):
    save_draft(home, Draft(base="scratch", data=stored.ref))
    page = open_tab("Train")
    rows = preview_split(stored.ref, home, TrainingConfig()).train
    suggestion = suggest_training("scored_pairs", rows)
    words = f"Suggested for {rows} training rows: {suggestion.epochs:g} epochs, batches of {suggestion.batch_size} rows"
    expect(notice(page, "train-suggestion")).to_contain_text(words)
    expect(field(page, "epochs")).to_have_value(f"{suggestion.epochs:g}")
    expect(field(page, "batch-size")).to_have_value(str(suggestion.batch_size))
    expect(page.locator("#train-suggest")).to_be_hidden()
    field(page, "epochs").fill("2")
    expect(notice(page, "train-suggestion")).to_contain_text("You have set epochs otherwise.")
    draft = load_draft(home)
    assert draft.touched == ("epochs",) and draft.training.epochs == 2
    page.locator("#train-suggest").click()
    expect(field(page, "epochs")).to_have_value(f"{suggestion.epochs:g}")
    expect(page.locator("#train-suggest")).to_be_hidden()
    assert load_draft(home).touched == ()


def test_the_watch_list_starts_with_sentences_of_the_data_and_is_the_users_own(open_tab, stored, home):
    save_draft(home, Draft(base="scratch", data=stored.ref))
    page = open_tab("Train")
    page.get_by_role("button", name="Watch-list").click()
    shown = field(page, "watch")
    expect(shown).not_to_have_value("")
    assert load_draft(home).watch is None, "untouched, it follows the data"
    shown.fill("\n".join(str(number) for number in range(13)))
    shown.blur()
    expect(notice(page, "train-plan")).to_contain_text("up to 12 sentences, got 13")
    assert load_draft(home).watch is None, "what cannot be used is not saved"
    shown.fill("one\n\n two \none")
    shown.blur()
    expect(notice(page, "train-plan")).to_contain_text("give the verdict")
    expect(shown).to_have_value("one\n\n two \none")
    assert load_draft(home).watch == ("one", "two")


def test_next_leads_to_what_is_missing_and_focuses_it(open_tab, home):
    save_draft(home, Draft(base="scratch"))
    page = open_tab("Build")
    expect(page.locator("#next")).to_contain_text("Next: choose data")
    page.locator("#next button").click()
    expect(page.get_by_role("tab", name="Data", exact=True)).to_have_attribute("aria-selected", "true")
    page.wait_for_function("document.querySelector('#data-file').contains(document.activeElement)")
    page.locator("#data-sample").click()
    page.locator("#data-use").click()
    expect(page.locator("#next")).to_contain_text("Next: start training")
    page.locator("#next button").click()
    expect(page.locator("#train-start")).to_be_focused()


def test_start_trains_what_the_page_shows_or_says_what_another_window_changed(
    open_tab, stored, home, tmp_path, server, monkeypatch
):
    """Two windows: in the second one someone takes other data and layers; the first one's plan is of the old ones."""
    monkeypatch.setattr(train, "start_run", lambda context, draft: submit(draft.to_recipe(), home, start=False).run_id)
    save_draft(home, Draft(base="scratch", data=stored.ref))
    page = open_tab("Train")
    expect(notice(page, "train-plan")).to_contain_text("of pairs with CoSENTLoss")
    other = page.context.new_page()
    other.goto(f"{server.url}/?tab=data")
    table = tmp_path / "matches.csv"
    table.write_text("anchor,positive\n" + "".join(f"question {number},answer {number}\n" for number in range(40)))
    other.locator("#data-file input[type=file]").set_input_files(table)
    other.locator("#data-use").click()
    expect(notice(other, "data-current")).to_contain_text("In use: matches")
    other.get_by_role("tab", name="Build", exact=True).click()
    other.get_by_role("button", name="Add Normalize", exact=True).click()
    expect(other.locator("#build-layers textarea")).to_have_value("--base scratch --layers pooling:mean,normalize")
    other.get_by_role("tab", name="Train", exact=True).click()
    expect(field(other, "loss")).to_have_value("MultipleNegativesRankingLoss")
    other.close()

    page.bring_to_front()
    page.locator("#train-start").click()
    problem = notice(page, "train-problem")
    expect(problem).to_have_attribute("data-tone", "error")
    for words in (
        "Nothing was started",
        "layers pooling:mean → pooling:mean,normalize",
        "data pairs: 160 scored pairs → matches: 40 matching pairs",
        "objective CoSENTLoss",
    ):
        expect(problem).to_contain_text(words)
    assert list_runs(home) == []
    expect(field(page, "loss")).to_have_value("MultipleNegativesRankingLoss")
    expect(notice(page, "train-plan")).to_contain_text("matching pairs of matches with MultipleNegativesRankingLoss")
    expect(notice(page, "train-plan")).to_contain_text("Normalize")
    # A setting of one's own, and what someone else has set meanwhile, stand together.
    update_draft(home, training=dataclasses.replace(load_draft(home).training, seed=77), touched=load_draft(home).touched)
    field(page, "epochs").fill("2")
    expect(problem).to_have_text(re.compile(r"^Changed since this plan was made: seed \d+ → 77\. "))
    page.get_by_role("button", name="More settings").click()
    expect(field(page, "seed")).to_have_value("77")
    assert (load_draft(home).training.epochs, load_draft(home).training.seed) == (2, 77)
    field(page, "name").fill("mine")
    page.locator("#train-start").click()
    expect(page.locator("#train-live .wb-live-name")).to_have_text("mine")
    (run,) = list_runs(home)
    recipe = run.recipe()
    assert (recipe.data, recipe.architecture.to_text()) == (load_draft(home).data, "pooling:mean,normalize")
    assert (recipe.training.epochs, recipe.training.seed, recipe.name) == (2, 77, "mine")


def test_the_objective_follows_the_data_until_it_is_chosen_by_hand(open_tab, stored, home, tmp_path):
    """Some objectives train on several kinds of rows; one that no one chose must not stay for that."""
    save_draft(home, Draft(base="scratch", data=stored.ref))
    table = tmp_path / "labelled.csv"
    lines = "".join(f"one {number},two {number},{number % 2}\n" for number in range(40))
    table.write_text("sentence1,sentence2,label\n" + lines)
    labelled = import_file(table, home, name="labelled")
    page = open_tab("Train")
    expect(notice(page, "train-plan")).to_contain_text("with CoSENTLoss")
    field(page, "name").fill("mine")

    def use(ref):
        page.get_by_role("tab", name="Data", exact=True).click()
        use_stored(page, ref)
        page.get_by_role("tab", name="Train", exact=True).click()

    use(labelled.ref)
    expect(field(page, "loss")).to_have_value("ContrastiveLoss")
    expect(notice(page, "train-plan")).to_contain_text("of labelled with ContrastiveLoss")
    assert load_draft(home).loss is None
    field(page, "loss").click()
    page.get_by_role("option", name="CosineSimilarityLoss", exact=True).click()
    expect(notice(page, "train-plan")).to_contain_text("with CosineSimilarityLoss")
    use(stored.ref)
    expect(notice(page, "train-plan")).to_contain_text("of pairs with CosineSimilarityLoss")
    expect(field(page, "loss")).to_have_value("CosineSimilarityLoss")
