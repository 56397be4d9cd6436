"""What the page leads to: the run that is meant, its head, its verdict; and nothing that hides or holds up what was asked for."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from workbench.data import import_file
from workbench.recipe import SUGGESTED, Recipe, TrainingConfig
from workbench.runs import store, submit
from workbench.runs.database import open_database
from workbench.ui import Draft, save_draft
from workbench.ui.pages import train

pytestmark = pytest.mark.browser

# So many words that the verdict is taller than a low window.
VERDICT = {"outcome": "better", "metric": "spearman_cosine", "before": 0.41, "after": 0.63, "sentence": "It rose. " * 240}


@pytest.fixture
def stored(home, pairs_csv):
    data = import_file(pairs_csv, home, columns={"sentence1": "left", "sentence2": "right", "score": "similarity"}, name="pairs")
    save_draft(home, Draft(base="scratch", data=data.ref, touched=SUGGESTED))
    return data


@pytest.fixture
def queue(stored, home):
    """A function that queues a run of the draft which no process takes up."""

    def queue_(name):
        return submit(Recipe(base="scratch", data=stored.ref, training=TrainingConfig(), name=name), home, start=False)

    return queue_


def finish(run, home):
    """End a run as one that has measured and judged."""
    (run.folder / "evaluations").mkdir()
    lines = [{"type": "train", "step": step, "loss": 1 / step, "learning_rate": 1e-4, "grad_norm": 1.0} for step in range(1, 9)]
    sides = {"positive": [0] * 60 + [5] * 40, "negative": [0] * 50 + [5] * 50, "positive_mean": 0.5, "negative_mean": 0.1}
    lines += [{"type": "evaluation", "step": 8, "primary_metric": "spearman_cosine", "value": 0.6, "cosine": sides}]
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with open_database(home) as connection:
        store.transition(connection, run.run_id, "running", {"facts": {"kind": "scored_pairs"}})
        store.transition(connection, run.run_id, "completed", {"verdict": VERDICT, "step": 8})


def live(page):
    return page.locator("#train-live .wb-live")


def in_sight(page, part):
    """Wait until the upper edge of a part stands below the bar at the top of the page and inside the window."""
    page.wait_for_function(
        "part => { const { top } = document.querySelector(part).getBoundingClientRect();"
        " return top >= document.querySelector('#next').getBoundingClientRect().bottom - 1 && top < window.innerHeight - 40; }",
        arg=part,
    )


@pytest.fixture
def low_window(page):
    page.set_viewport_size({"width": 1000, "height": 520})
    yield page
    page.set_viewport_size({"width": 1280, "height": 900})


def test_train_opens_before_the_charts_are_there_and_their_patterns_stay(open_tab, page, queue, home, server):
    run = queue("first")
    finish(run, home)
    held = []
    page.route("**/plotly.min.js", lambda route: held.append(route))
    page.goto(f"{server.url}/?tab=train&run={run.run_id}")
    expect(page.locator("#train-start")).to_be_enabled()
    expect(live(page).locator(".wb-verdict")).to_contain_text("It rose.")
    expect(live(page).locator('[data-chart="loss"] .wb-readout')).to_have_text(re.compile(r"0\.\d{4}"))
    expect(live(page).locator(".js-plotly-plot")).to_have_count(0)
    held[0].continue_()
    page.unroute("**/plotly.min.js")
    expect(live(page).locator(".js-plotly-plot .main-svg").first).to_be_visible()
    expect(live(page).locator(".js-plotly-plot")).to_have_count(5)
    bar = live(page).locator(".wb-cosines .point path").first
    expect(bar).to_have_attribute("style", re.compile(r'fill: url\("#'))
    page.get_by_role("tab", name="Data", exact=True).click()
    page.get_by_role("tab", name="Train", exact=True).click()
    assert "http" not in bar.get_attribute("style"), "an address in it is wrong as soon as the tab changes it"


def test_the_run_that_comes_next_takes_over_the_live_panel(low_window, queue, home, server):
    page, first = low_window, queue("first")
    finish(first, home)
    second = queue("second")
    page.goto(f"{server.url}/?tab=train&run={first.run_id}")
    expect(live(page)).to_have_attribute("data-run", first.run_id)
    expect(page.locator("#next")).to_contain_text("second is queued")
    page.get_by_role("button", name="Watch the run").click()
    expect(live(page)).to_have_attribute("data-run", second.run_id)
    finish(second, home)
    page.goto(f"{server.url}/?tab=runs&run={first.run_id}")
    page.get_by_role("button", name="Read the verdict").click()
    expect(live(page)).to_have_attribute("data-run", second.run_id)
    in_sight(page, "#train-live-verdict")
    expect(page.locator("#train-live-verdict")).to_be_focused()


def test_after_start_the_run_is_in_sight_and_nothing_shines_through_the_bar(low_window, queue, home, server, monkeypatch):
    page = low_window
    monkeypatch.setattr(train, "start_run", lambda context, draft: queue("begun").run_id)
    page.goto(f"{server.url}/?tab=train")
    expect(page.locator("#train-start")).to_be_enabled()
    page.locator("#train-start").scroll_into_view_if_needed()
    page.locator("#train-start").click()
    expect(live(page).locator(".wb-live-name")).to_have_text("begun")
    in_sight(page, "#train-live-head")
    # A label, which Gradio lays above the rest of its form, is brought below the bar.
    page.wait_for_function(
        """() => {
          const label = [...document.querySelectorAll("#train-epochs span")].find((node) => getComputedStyle(node).zIndex > 0);
          const middle = (node) => { const box = node.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; };
          const bar = document.querySelector("#next");
          window.scrollBy({ top: middle(label)[1] - middle(bar)[1], behavior: "instant" });
          const [x, y] = middle(label);
          return Math.abs(y - middle(bar)[1]) < 4 && document.elementFromPoint(x, y).closest("#next") === bar;
        }"""
    )
