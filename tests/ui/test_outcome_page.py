"""The verdict of a run in a real browser: seen, corrected, and trained with again."""

import re

import pytest
from playwright.sync_api import expect

from tests.finished import scored_run
from tests.ui.conftest import serving, watched_page
from workbench.runs import list_runs, read_errors
from workbench.runs.corrections import read_corrections

pytestmark = pytest.mark.browser


@pytest.fixture
def run(home, tmp_path, sentences):
    return scored_run(home, tmp_path, sentences)


def show(page, name="Finished"):
    """Select a run and wait for its verdict."""
    page.locator("#runs-selected input").click()
    page.get_by_role("option", name=re.compile(rf"^{name} ·")).click()
    outcome = page.locator("#runs-outcome .wb-outcome")
    expect(outcome).to_have_attribute("data-state", "ready")
    return outcome


def row(outcome, number):
    return outcome.locator(f'tr[data-row="{number}"]')


def mark(outcome, number, action):
    row(outcome, number).locator(".wb-oc-action").select_option(action)


def test_the_verdict_is_seen_with_its_parts(open_tab, run, home):
    outcome = show(open_tab("Runs"))
    expect(outcome).to_have_attribute("data-outcome", run.verdict["outcome"])
    card = outcome.locator("[data-outcome].wb-oc-card")
    expect(card).to_contain_text(run.verdict["sentence"])
    expect(card.locator(".wb-interval")).to_have_attribute("aria-label", re.compile("95% interval"))
    expect(outcome.locator("[data-general]")).to_contain_text("549 pairs of everyday English sentences")
    expect(outcome.locator("[data-general]")).to_contain_text("Unrelated texts, mean cosine")
    expect(outcome.locator(".wb-oc-plot.js-plotly-plot")).to_have_count(3)
    expect(outcome.locator(".wb-oc-threshold")).to_contain_text("chosen on the")
    expect(outcome.locator(".wb-oc-counts")).to_contain_text("Accuracy")
    worst = read_errors(run.run_id, home).ordered("tuned")
    expect(outcome.locator("tr[data-row]")).to_have_count(20)
    assert outcome.locator("tr[data-row]").first.get_attribute("data-row") == str(worst[0]["row"])
    outcome.locator(".wb-oc-sort").select_option("worse")
    changed = read_errors(run.run_id, home).ordered("worse")
    expect(outcome.locator("tr[data-row]").first).to_have_attribute("data-row", str(changed[0]["row"]))
    outcome.get_by_role("button", name="Show more").click()
    expect(outcome.locator("tr[data-row]")).to_have_count(40)
    assert outcome.locator("b").count() == 0, "a text of the data is never markup"


@pytest.mark.usefixtures("navigates")
def test_a_label_is_fixed_a_row_dropped_and_a_linked_run_queued(open_tab, run, home, watch):
    watch.allowed.append("404 (Not Found)")  # how the server answers a score that cannot be
    (run.folder / "model").mkdir()
    (run.folder / "model" / "modules.json").write_text("[]")
    first, second, third = (found["row"] for found in read_errors(run.run_id, home).ordered("tuned")[:3])
    page = open_tab("Runs")
    outcome = show(page)
    expect(outcome.locator(".wb-oc-go")).to_be_disabled()
    mark(outcome, first, "fix")
    row(outcome, first).locator(".wb-oc-right").fill("9")
    row(outcome, first).locator(".wb-oc-save").click()
    expect(row(outcome, first).locator(".wb-oc-problem")).to_contain_text("must be a number from 0 to 5, got '9'")
    assert read_corrections(run.run_id, home) == {}
    row(outcome, first).locator(".wb-oc-right").fill("2.5")
    row(outcome, first).locator(".wb-oc-right").press("Enter")
    expect(row(outcome, first).locator(".wb-oc-value")).to_contain_text("→ 2.5")
    mark(outcome, second, "drop")
    expect(outcome.locator(".wb-oc-tally")).to_have_text("Marked: 1 to fix, 1 to drop.")
    mark(outcome, third, "review")
    expect(outcome.locator(".wb-oc-tally")).to_have_text("Marked: 1 to fix, 1 to drop, 1 kept for review.")
    marks = {number: (found.action, found.value) for number, found in read_corrections(run.run_id, home).items()}
    assert marks == {first: ("fix", "2.5"), second: ("drop", None), third: ("review", None)}

    page.reload()
    outcome = show(page)
    expect(outcome.locator(".wb-oc-tally")).to_have_text("Marked: 1 to fix, 1 to drop, 1 kept for review.")
    expect(row(outcome, first).locator(".wb-oc-right")).to_have_value("2.5")
    outcome.locator(".wb-oc-marked").check()
    expect(outcome.locator("tr[data-row]")).to_have_count(3)
    mark(outcome, third, "")
    expect(outcome.locator(".wb-oc-tally")).to_have_text("Marked: 1 to fix, 1 to drop.")

    expect(outcome.locator(".wb-oc-retrain")).to_contain_text("nothing is trained")
    expect(outcome.locator(".wb-oc-go")).to_have_text("Measure again with these fixes")
    outcome.locator(".wb-oc-go").click()
    expect(outcome.locator(".wb-oc-links")).to_contain_text("Corrected as")
    child, parent = list_runs(home)
    assert (child.kind, child.parent, parent.run_id) == ("measure", run.run_id, run.run_id)
    expect(page.locator("#runs-table")).to_contain_text("Finished, corrected")
    outcome.locator(f'.wb-oc-link[data-run="{child.run_id}"]').click()
    expect(outcome.locator(".wb-oc-links")).to_contain_text("Corrected from")
    expect(page.locator("#runs-selected input")).to_have_value(re.compile("^Finished, corrected"))
    outcome.locator(f'.wb-oc-link[data-run="{run.run_id}"]').click()
    expect(outcome.locator(".wb-oc-links")).to_contain_text("Corrected as")


def test_marks_outlive_the_server(browser, run, settings, home, watch):
    number = read_errors(run.run_id, home).ordered("tuned")[0]["row"]
    for action in ("review", None):
        with serving(settings) as server, watched_page(browser, watch) as page:
            page.goto(f"{server.url}/?tab=runs")
            outcome = show(page)
            if action:
                mark(outcome, number, action)
            expect(row(outcome, number).locator(".wb-oc-action")).to_have_value("review")
            expect(outcome.locator(".wb-oc-tally")).to_contain_text("1 kept for review")


def test_both_tables_are_downloaded_as_csv(open_tab, run):
    page = open_tab("Runs")
    outcome = show(page)
    for table, start in (("errors", "row,sentence1,sentence2,score"), ("metrics", "metric,before,after")):
        with page.expect_download() as download:
            outcome.locator(f'[data-csv="{table}"]').click()
        assert download.value.suggested_filename == f"{table}-{run.run_id}.csv"
        assert download.value.path().read_text(encoding="utf-8-sig").startswith(start)


def test_a_narrow_window_scrolls_the_table_only(open_tab, run):
    page = open_tab("Runs")
    show(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= 390")


def test_the_selected_run_stays_selected_while_the_list_refreshes(open_tab, run):
    page = open_tab("Runs")
    show(page)
    page.locator("#runs-refresh").click()
    expect(page.locator("#runs-selected input")).to_have_value(re.compile("^Finished"))
