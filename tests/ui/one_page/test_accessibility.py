"""axe-core on every tab, light and dark: nothing that WCAG 2.1 A or AA forbids."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from workbench.recipe import Recipe
from workbench.runs import submit
from workbench.runs.database import open_database
from workbench.ui import Draft, save_draft

pytestmark = pytest.mark.browser

STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
TABS = {
    "Build": "#build-stack .wb-layer",
    "Data": "#data-formats",
    "Train": "#train-start",
    "Runs": "#runs-empty .wb-notice:not([hidden]), #runs-table",
    "Playground": "#playground-compare",
}

VERDICT = {
    "outcome": "better",
    "metric": "spearman_cosine",
    "before": 0.41,
    "after": 0.63,
    "difference": 0.22,
    "interval": [0.1, 0.3],
    "rows": 60,
    "sentence": "Better: spearman_cosine rose from 0.410 to 0.630 on 60 rows.",
}


@pytest.fixture
def finished(home, pairs_csv):
    """A run that has ended, as it would have left its files; and a draft with its data set."""
    columns = {"sentence1": "left", "sentence2": "right", "score": "similarity"}
    run = submit(Recipe(base="scratch", data=str(pairs_csv), columns=columns, watch=("one", "two", "three")), home, start=False)
    (run.folder / "evaluations").mkdir()
    points, matrices = [], []
    for step in range(0, 60, 20):
        counts = [0] * 100
        counts[50 + step // 2] = 5
        sides = {"positive": counts, "negative": counts[::-1], "positive_mean": 0.5, "negative_mean": 0.1}
        points += [
            {"type": "train", "step": step + n, "loss": 1 / (step + n + 1), "learning_rate": 1e-4, "grad_norm": 1.0}
            for n in range(1, 20)
        ]
        points.append(
            {"type": "evaluation", "step": step, "primary_metric": "spearman_cosine", "value": 0.4 + step / 300, "cosine": sides}
        )
        matrices.append({"step": step, "matrix": [[1, 0.9, 0.1], [0.9, 1, 0.5], [0.1, 0.5, 1]]})
    for name, lines in (("metrics.jsonl", points), ("evaluations/watch.jsonl", matrices)):
        (run.folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run.folder / "log.txt").write_text("Completed.\n")
    metrics = {"before": {"spearman_cosine": 0.41}, "after": {"spearman_cosine": 0.63}}
    facts = {"kind": "scored_pairs", "baseline": 0.41}
    with open_database(home) as connection, connection:
        connection.execute(
            "UPDATE runs SET status = 'completed', step = 60, total_steps = 60, seconds = 9, primary_metric = 'spearman_cosine', "
            "verdict = ?, metrics = ?, facts = ? WHERE run_id = ?",
            [json.dumps(VERDICT), json.dumps(metrics), json.dumps(facts), run.run_id],
        )
    save_draft(home, Draft(base="scratch", data=run.data))
    return run


def violations(page):
    """What axe finds, one line each."""
    # A finding on half-faded colours would be one of the moment, not of the page.
    page.add_style_tag(content="*, *::before, *::after { transition: none !important; animation: none !important; }")
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": STANDARDS}}).response["violations"]
    return [f"{item['id']}: {node['target']} {node.get('failureSummary', '')}" for item in found for node in item["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_tab_of_a_fresh_workbench(theme, open_tab, home):
    save_draft(home, Draft(base="scratch"))
    page = open_tab("Build", f"?__theme={theme}")
    expect(page.locator("#next button")).to_be_visible()
    for tab, part in TABS.items():
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.locator(part).first).to_be_visible()
        assert violations(page) == [], tab


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_tab_with_a_finished_run(theme, open_tab, finished):
    page = open_tab("Train", f"?__theme={theme}")
    live = page.locator("#train-live .wb-live")
    expect(live).to_have_attribute("data-state", "completed")
    expect(live.locator(".wb-verdict")).to_be_visible()
    expect(live.locator(".wb-cell")).to_have_count(9)
    page.get_by_role("button", name="More settings").click()
    page.get_by_role("button", name="Watch-list").click()
    live.locator(".wb-log summary").click()
    assert violations(page) == []
    page.get_by_role("tab", name="Runs", exact=True).click()
    page.locator('#runs-table [data-testid="cell-0-0"]').click()
    expect(page.locator("#runs-summary .wb-notice")).to_contain_text("Completed")
    assert violations(page) == []
    for tab in ("Build", "Data", "Playground"):
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.locator(TABS[tab]).first).to_be_visible()
        assert violations(page) == [], tab


def test_a_narrow_window_has_none_either(open_tab, finished):
    page = open_tab("Train")
    expect(page.locator("#train-live .wb-cell")).to_have_count(9)
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == []
