"""The live panel on runs that are written by hand, line by line."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from workbench.recipe import Recipe
from workbench.runs import submit
from workbench.runs.database import open_database
from workbench.ui.api.routes import MAXIMUM_POINTS

pytestmark = pytest.mark.browser

WATCH = ("cancel my contract", "end my <b>subscription</b>", "where is my parcel?")


class Recorded:
    """A run that waits for ever, and whose files a test writes."""

    def __init__(self, run, home):
        self.run = run
        self.home = home
        (run.folder / "evaluations").mkdir()

    def facts(self, **facts):
        # The history writes these only for a run that has a process, and this one has none.
        with open_database(self.home) as connection:
            values = (json.dumps(facts), 1000, self.run.run_id)
            assert connection.execute("UPDATE runs SET facts = ?, total_steps = ? WHERE run_id = ?", values).rowcount == 1

    def train(self, steps, loss=lambda step: 1 / (step + 1)):
        rate = [{"type": "train", "step": step, "loss": loss(step), "learning_rate": 1e-3, "grad_norm": 2.0} for step in steps]
        self._append("metrics.jsonl", rate)

    def evaluate(self, step, value, cosine=0.5):
        point = {"type": "evaluation", "step": step, "metrics": {}, "primary_metric": "spearman_cosine", "value": value}
        right, wrong = [0] * 100, [0] * 100
        right[round(50 + 45 * cosine)], wrong[55] = 7, 9
        sides = {"positive": right, "negative": wrong, "positive_mean": cosine, "negative_mean": 0.1}
        self._append("evaluations/watch.jsonl", [{"step": step, "matrix": [[1, cosine, 0.1], [cosine, 1, 0.2], [0.1, 0.2, 1]]}])
        self._append("metrics.jsonl", [{**point, "cosine": sides}])

    def _append(self, name, points):
        with (self.run.folder / name).open("a") as file:
            file.write("".join(json.dumps(point) + "\n" for point in points))


@pytest.fixture
def recorded(home, pairs_csv):
    recipe = Recipe(base="scratch", data=str(pairs_csv), name="By hand", watch=WATCH)
    recorded = Recorded(submit(recipe, home, start=False), home)
    recorded.facts(kind="scored_pairs", baseline=0.4)
    return recorded


@pytest.fixture
def panel(page, server, recorded):
    """The live panel, showing the run."""

    def open_():
        page.goto(f"{server.url}/?tab=train&run={recorded.run.run_id}")
        panel = page.locator("#train-live .wb-live")
        expect(panel).to_have_attribute("data-run", recorded.run.run_id)
        return panel

    return open_


def drawn(panel, chart="loss"):
    """The traces of a chart as [number of points, last step] each."""
    return panel.locator(f'[data-chart="{chart}"] .wb-plot').evaluate(
        "plot => (plot.data || []).map(trace => [trace.x.length, trace.x[trace.x.length - 1]])"
    )


def wait_for_step(page, step, chart="loss"):
    page.wait_for_function(
        "([chart, step]) => { const plot = document.querySelector(`#train-live [data-chart='${chart}'] .wb-plot`);"
        " return plot?.data && plot.data[0].x[plot.data[0].x.length - 1] === step; }",
        arg=[chart, step],
    )


def test_a_hundred_thousand_steps_are_drawn_with_3000_points_and_never_read_twice(panel, recorded, page):
    recorded.train(range(100_000), lambda step: 9.0 if step == 54_321 else 1 / (step + 1))
    answers = []
    page.on("response", lambda answer: answers.append(answer) if f"{recorded.run.run_id}/live" in answer.url else None)
    shown = panel()
    wait_for_step(page, 99_999)
    assert 54_321 in shown.locator('[data-chart="loss"] .wb-plot').evaluate("plot => Array.from(plot.data[0].x)"), "a peak is kept"
    last = 100_000
    for _ in range(4):
        recorded.train(range(last, last + 700))
        last += 700
        wait_for_step(page, last - 1)
        for chart in ("loss", "learning_rate", "grad_norm"):
            traces = drawn(shown, chart)
            assert 0 < sum(length for length, _ in traces) <= MAXIMUM_POINTS
            assert all(step == last - 1 for _, step in traces)
    assert int(shown.get_attribute("data-drawn")) <= MAXIMUM_POINTS
    cursors = [parse_qs(urlsplit(answer.url).query).get("after", [""])[0] for answer in answers]
    assert cursors.count("") == 1, "only the first question asks for everything"
    assert sum(len(answer.json()["points"]) for answer in answers[1:]) == 2800, "then each point comes once"


def test_the_zoom_stays_while_points_arrive(panel, recorded, page):
    recorded.train(range(1, 400))
    shown = panel()
    wait_for_step(page, 399)
    plot = shown.locator('[data-chart="loss"] .wb-plot')
    plot.scroll_into_view_if_needed()
    box = plot.locator(".nsewdrag").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=8)
    page.mouse.up()
    page.wait_for_function(
        "() => document.querySelector('#train-live [data-chart=loss] .wb-plot').layout.xaxis.autorange === false"
    )
    read_range = "plot => plot.layout.xaxis.range.slice()"
    before = plot.evaluate(read_range)
    assert 80 < before[0] < before[1] < 300
    recorded.train(range(400, 3000))  # enough to be thinned as well
    wait_for_step(page, 2999)
    assert plot.evaluate(read_range) == before


def test_the_base_is_a_labelled_line_and_the_best_step_is_marked(panel, recorded, page):
    for step, value in [(0, 0.4), (10, 0.6), (20, 0.5)]:
        recorded.evaluate(step, value)
    shown = panel()
    metric = shown.locator('[data-chart="metric"]')
    expect(metric.locator(".wb-term")).to_have_text("spearman_cosine")
    expect(metric).to_contain_text("base encoder 0.4000")
    assert metric.locator(".wb-plot").evaluate("plot => [Array.from(plot.data[0].y), Array.from(plot.data[2].x)]") == [
        [0.4, 0.4],
        [10],
    ]
    expect(metric.locator(".wb-readout")).to_have_text("0.5000")


def test_the_scrubber_shows_an_evaluation_and_works_by_keyboard(panel, recorded, page):
    for step, value, cosine in [(0, 0.4, 0.2), (10, 0.5, 0.4), (20, 0.6, 0.8)]:
        recorded.evaluate(step, value, cosine)
    shown = panel()
    box, words = shown.locator(".wb-evaluations"), shown.locator(".wb-scrub-text")
    cell = shown.locator('.wb-cell[data-row="0"][data-column="1"]')
    expect(words).to_have_text("step 20, spearman_cosine 0.6000 (3 of 3)")
    expect(cell).to_have_text("0.80")
    expect(shown.locator(".wb-cosines .wb-words")).to_contain_text("0.70 apart, 0.10 at step 0")
    scrub = page.get_by_label("Step of the evaluation shown")
    scrub.focus()
    page.keyboard.press("Home")
    expect(words).to_contain_text("step 0, before training")
    expect(scrub).to_have_attribute("aria-valuetext", "step 0, before training, spearman_cosine 0.4000")
    expect(cell).to_have_text("0.20")
    page.keyboard.press("ArrowRight")
    expect(box).to_have_attribute("data-step", "10")
    expect(cell).to_have_text("0.40")
    recorded.evaluate(30, 0.7, 0.9)
    expect(words).to_have_text("step 10, spearman_cosine 0.5000 (2 of 4)")
    expect(scrub).to_be_focused()
    page.keyboard.press("End")
    expect(cell).to_have_text("0.90")
    recorded.evaluate(40, 0.7, 0.95)
    expect(box).to_have_attribute("data-step", "40")


def test_the_matrix_names_the_pair_by_mouse_and_keyboard(panel, recorded, page):
    recorded.evaluate(0, 0.4, 0.25)
    recorded.evaluate(10, 0.5, 0.75)
    shown = panel()
    words = shown.locator(".wb-watch .wb-words")
    expect(words).to_contain_text("cosine 0.750 · at step 0 0.250 · change +0.500")
    shown.locator('.wb-cell[data-row="1"][data-column="2"]').click()
    expect(words).to_contain_text("2. end my <b>subscription</b>")
    expect(words).to_contain_text("3. where is my parcel?")
    expect(words).to_contain_text("cosine 0.200")
    shown.locator('.wb-cell[data-row="1"][data-column="2"]').focus()
    page.keyboard.press("ArrowUp")
    expect(shown.locator('.wb-cell[data-row="0"][data-column="2"]')).to_be_focused()
    expect(words).to_contain_text("1. cancel my contract")
    assert shown.locator(".wb-cell[tabindex='0']").count() == 1, "one stop of the Tab key"
    assert shown.locator(".wb-watch b").count() == 0, "a sentence is never markup"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("scored_pairs", "score in the upper half of the scale"),
        ("pairs", "anchor and partners of other rows"),
        ("triplets", "anchor and negative"),
    ],
)
def test_the_sides_are_named_by_what_a_row_holds(kind, words, panel, recorded):
    recorded.facts(kind=kind)
    recorded.evaluate(0, 0.4)
    expect(panel().locator(".wb-cosines")).to_contain_text(words)


def test_what_a_run_does_not_record_is_said(panel, recorded):
    recorded.facts(kind="class_pairs")
    shown = panel()
    message = shown.locator(".wb-cosines .wb-plot")
    expect(message).to_have_attribute(
        "data-empty", "Pairs of several classes have no right and wrong partner, so there is nothing to separate."
    )
    words = "Sentences named under Watch-list in the form appear here with the first evaluation."
    expect(shown.locator(".wb-watch-grid")).to_have_attribute("data-empty", words)


def test_two_windows_follow_the_same_run(panel, recorded, page, server):
    recorded.train(range(1, 20))
    panel()
    wait_for_step(page, 19)
    other = page.context.new_page()
    other.goto(f"{server.url}/?tab=train&run={recorded.run.run_id}")
    wait_for_step(other, 19)
    recorded.train(range(20, 40))
    wait_for_step(other, 39)
    page.bring_to_front()
    wait_for_step(page, 39)
    other.close()
