"""The page in a real browser."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import expect

from workbench.recipe import ArchitectureSpec, TrainingConfig
from workbench.runs import get_run, list_runs
from workbench.ui import load_draft, update_draft

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
LONG = 120_000
"""For what waits on a worker: it imports torch, on a machine that may be busy."""


@pytest.fixture
def tiny_draft(home, tiny_bert):
    """A draft with the tiny encoder and a run of a few seconds."""
    return update_draft(
        home,
        base=str(tiny_bert),
        architecture=ArchitectureSpec.default(),
        training=TrainingConfig(max_steps=6, eval_steps=3, batch_size=8, device="cpu", test_fraction=0.4),
    )


@pytest.fixture
def ready(tiny_draft, home, pairs_csv):
    """The same with a data set in use."""
    from workbench.data import import_file

    data = import_file(pairs_csv, home, columns={"sentence1": "left", "sentence2": "right", "score": "similarity"})
    return update_draft(home, data=data.ref)


@pytest.fixture
def slow(ready, home):
    """A run that goes on until it is stopped."""
    return update_draft(home, training=TrainingConfig(max_steps=200_000, eval_steps=50_000, batch_size=8, device="cpu"))


def notice(page, name):
    return page.locator(f"#{name} .wb-notice")


def live(page):
    return page.locator("#train-live .wb-live")


def start(page):
    expect(notice(page, "train-plan")).to_contain_text("give the verdict")
    page.locator("#train-start").click()


def test_every_tab_opens(open_tab):
    page = open_tab("Build")
    expect(page.get_by_role("heading", level=1)).to_have_text("Embedding Workbench")
    for tab, part in [
        ("Data", "#data-file"),
        ("Train", "#train-start"),
        ("Runs", "#runs-empty"),
        ("Playground", "#playground-compare"),
        ("Build", "#flow"),
    ]:
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.locator(part)).to_be_visible()
    expect(page.locator("#flow button")).to_have_count(4)


def test_a_narrow_window_needs_no_scrolling_sideways(open_tab):
    page = open_tab("Build")
    for tab in ("Build", "Data", "Train", "Runs", "Playground"):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function("document.documentElement.scrollWidth <= 390")


@pytest.mark.usefixtures("navigates")
def test_the_address_opens_a_tab_and_remembers_it(page, server):
    page.goto(f"{server.url}/?tab=playground")
    expect(page.locator("#playground-compare")).to_be_visible()
    page.get_by_role("tab", name="Data", exact=True).click()
    expect(page).to_have_url(re.compile("tab=data"))
    # A reload in the middle of an answer cuts the connection, which Gradio reports on the console of the page that goes away.
    page.wait_for_load_state("networkidle")
    page.reload()
    expect(page.locator("#data-file")).to_be_visible()
    page.wait_for_load_state("networkidle")


def test_the_strip_opens_the_tab_of_a_step(open_tab):
    page = open_tab("Build")
    page.locator('#flow button[data-tab="data"]').click()
    expect(page.locator("#data-file")).to_be_visible()


def test_a_file_is_uploaded_mapped_and_used(open_tab, home, pairs_csv, tiny_draft):
    page = open_tab("Data")
    expect(notice(page, "data-current")).to_contain_text("No data set is in use yet")
    page.locator("#data-file input[type=file]").set_input_files(pairs_csv)
    expect(page.locator("#data-kind input")).to_have_value("Two texts and a score")
    for slot, column in enumerate(["left", "right", "similarity"], start=1):
        field = page.locator(f"#data-role-{slot} input")
        if field.input_value() != column:
            field.click()
            page.get_by_role("option", name=column, exact=True).click()
        expect(field).to_have_value(column)
    expect(notice(page, "data-summary")).to_contain_text("160 scored pairs")
    expect(page.locator("#data-preview")).to_contain_text("please")
    page.locator("#data-use").click()
    expect(notice(page, "data-current")).to_contain_text("In use: pairs: 160 scored pairs")
    expect(page.locator('#flow button[data-tab="data"]')).to_have_attribute("data-state", "ready")
    assert load_draft(home).data is not None
    assert not list((home / "uploads").iterdir()), "an imported upload is not kept twice"
    page.get_by_role("tab", name="Train", exact=True).click()
    expect(page.locator("#train-loss input")).to_have_value("CoSENTLoss")
    expect(notice(page, "train-plan")).to_contain_text("verdict")


def test_roles_can_be_swapped(open_tab, pairs_csv):
    page = open_tab("Data")
    page.locator("#data-file input[type=file]").set_input_files(pairs_csv)
    expect(page.locator("#data-role-1 input")).to_have_value("left")
    page.locator("#data-kind input").click()
    page.get_by_role("option", name="Two texts that belong together", exact=True).click()
    expect(page.locator("#data-role-3")).to_be_hidden()
    expect(notice(page, "data-summary")).to_contain_text("pairs")
    expect(page.locator("#data-scale")).to_be_hidden()


def test_a_file_that_cannot_be_used_is_said_in_words(open_tab, tmp_path):
    page = open_tab("Data")
    broken = tmp_path / "one.csv"
    broken.write_text("<b>only</b>\nx\n")
    page.locator("#data-file input[type=file]").set_input_files(broken)
    expect(notice(page, "data-summary")).to_have_attribute("data-tone", "error")
    expect(page.locator("#data-use")).to_be_disabled()
    assert page.locator("#data-summary b").count() == 0, "a name from outside is never markup"


def test_the_sample_data_is_one_press_away(open_tab, home, tiny_draft):
    page = open_tab("Data")
    page.locator("#data-sample").click()
    expect(notice(page, "data-summary")).to_contain_text("scored pairs")
    page.locator("#data-use").click()
    expect(notice(page, "data-current")).to_contain_text("In use: support_pairs")


def test_a_wrong_setting_is_named_beside_the_field(open_tab, ready, home, watch):
    watch.allowed.append("422 (Unprocessable")  # how Gradio answers a form that is not valid
    page = open_tab("Train")
    expect(notice(page, "train-plan")).to_contain_text("verdict")
    field = page.locator("#train-epochs input")
    field.fill("-1")
    expect(notice(page, "train-plan")).to_contain_text("`epochs` must be a number")
    page.locator("#train-start").click()
    expect(page.locator("#train-epochs")).to_contain_text("`epochs` must be a number")
    assert list_runs(home) == []
    field.fill("2")
    expect(notice(page, "train-plan")).to_contain_text("verdict")


@pytest.mark.usefixtures("navigates")
def test_settings_survive_a_reload(open_tab, ready, home):
    page = open_tab("Train")
    expect(notice(page, "train-plan")).to_contain_text("verdict")
    page.locator("#train-batch-size input").fill("16")
    expect(notice(page, "train-plan")).to_contain_text("steps of 16 rows")
    page.reload()
    expect(page.locator("#train-batch-size input")).to_have_value("16")
    assert load_draft(home).training.batch_size == 16


def test_start_without_data_says_what_is_missing(open_tab, tiny_draft):
    page = open_tab("Train")
    page.locator("#train-start").click()
    expect(notice(page, "train-problem")).to_contain_text("No data set is chosen yet")


def test_a_run_from_start_to_verdict(open_tab, ready, home):
    page = open_tab("Train")
    start(page)
    expect(live(page)).to_have_attribute("data-state", re.compile("queued|running|completed"))
    expect(live(page)).to_have_attribute("data-state", "completed", timeout=LONG)
    expect(live(page).locator(".wb-verdict")).to_be_visible()
    (run,) = list_runs(home)
    assert run.status == "completed"
    assert run.step == 6
    expect(live(page).locator(".wb-verdict")).to_contain_text(run.verdict["sentence"])
    expect(live(page).locator(".wb-live-line")).to_contain_text("step 6 of 6")
    assert int(live(page).get_attribute("data-points")) == len((run.folder / "metrics.jsonl").read_text().splitlines())
    expect(live(page).locator(".wb-chart .js-plotly-plot").first).to_be_visible()

    page.get_by_role("tab", name="Runs", exact=True).click()
    expect(page.locator("#runs-table")).to_contain_text("completed")
    page.locator('#runs-table [data-testid="cell-0-0"]').click()
    expect(notice(page, "runs-summary")).to_contain_text("Completed: tiny-bert")
    expect(page.locator("#runs-metrics")).to_contain_text("spearman_cosine")
    page.locator("#runs-delete").click()
    expect(notice(page, "runs-confirm-text")).to_contain_text("This cannot be undone")
    page.locator("#runs-cancel-delete").click()
    expect(page.locator("#runs-confirm-text")).to_be_hidden()

    page.get_by_role("tab", name="Playground", exact=True).click()
    expect(page.locator("#playground-first input")).to_have_value(re.compile(run.run_id))
    page.locator("#playground-texts textarea").fill("please check my router\nplease repair my router\npay the <b>invoice</b>")
    page.locator("#playground-compare").click()
    heatmaps = page.locator("#playground-heatmaps .wb-heatmaps")
    expect(heatmaps).to_have_attribute("data-state", "ready", timeout=LONG)
    expect(heatmaps.locator(".js-plotly-plot")).to_have_count(2)
    cells = heatmaps.locator(".js-plotly-plot .nsewdrag").first
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.85, box["y"] + box["height"] * 0.15)
    expect(heatmaps.locator(".wb-pair")).to_contain_text("please check my router")
    expect(heatmaps.locator(".wb-pair")).to_contain_text("<b>invoice</b>")
    expect(page.locator("#playground-pairs")).to_contain_text("please repair my router")

    page.get_by_role("tab", name="Runs", exact=True).click()
    page.locator("#runs-delete").click()
    page.locator("#runs-confirm-delete").click()
    expect(notice(page, "runs-empty")).to_be_visible()
    assert list_runs(home) == []


@pytest.mark.usefixtures("navigates")
def test_a_reload_in_the_middle_goes_on_and_stop_works(open_tab, slow, home):
    page = open_tab("Train")
    start(page)
    expect(live(page).locator(".wb-badge")).to_have_text("Running", timeout=LONG)
    expect(live(page)).to_have_attribute("data-points", re.compile("[1-9]"), timeout=LONG)
    run_id = live(page).get_attribute("data-run")
    page.reload()
    expect(live(page)).to_have_attribute("data-run", run_id)
    expect(live(page)).to_have_attribute("data-points", re.compile("[1-9]"))
    live(page).locator(".wb-live-stop select").select_option("latest")
    live(page).locator(".wb-button-stop").click()
    expect(live(page)).to_have_attribute("data-state", "stopped", timeout=LONG)
    run = get_run(run_id, home)
    assert run.status == "stopped"
    assert 0 < run.step < 200_000


def test_another_window_finds_the_run_by_itself(open_tab, slow, home, server):
    page = open_tab("Train")
    start(page)
    expect(live(page)).to_have_attribute("data-run", re.compile("."))
    run_id = live(page).get_attribute("data-run")
    other = page.context.new_page()
    other.goto(f"{server.url}/?tab=train")
    expect(live(other)).to_have_attribute("data-run", run_id)


def test_an_address_may_name_a_run_that_the_list_does_not_hold(page, server, home, navigates, watch):
    from workbench.runs import store
    from workbench.runs.database import open_database

    names = [f"20260101-000000-{number:04d}" for number in range(102)]
    with open_database(home) as connection:
        for name in names:
            store.insert(connection, name, name, "mini", "data", held=True)
            store.transition(connection, name, "stopped", {})
    page.goto(f"{server.url}/?tab=train&run={names[0]}")
    expect(live(page)).to_have_attribute("data-run", names[0])
    watch.allowed.append("404")
    page.goto(f"{server.url}/?tab=train&run=20250101-000000-0000")
    expect(live(page)).to_have_attribute("data-run", names[-1])


def serve(home, port):
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--home", str(home)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return process, process.stdout.readline().split()[2]


def boot_id(address):
    with urllib.request.urlopen(urljoin(address, "/api/health"), timeout=30) as answer:
        return json.load(answer)["boot_id"]


def test_a_run_and_the_page_survive_a_restart_of_the_server(page, slow, home, watch):
    from tests.ui.conftest import end_runs

    watch.allowed += [
        "ERR_CONNECTION_REFUSED",
        "ERR_EMPTY_RESPONSE",
        "ERR_CONNECTION_RESET",
        "ERR_INCOMPLETE_CHUNKED",
        "Failed to fetch",
    ]
    process, address = serve(home, 0)
    try:
        page.goto(f"{address}&tab=train")
        start(page)
        expect(live(page)).to_have_attribute("data-points", re.compile("[1-9]"), timeout=LONG)
        run_id = live(page).get_attribute("data-run")
        before = boot_id(address)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        expect(page.get_by_text("Connection lost, retrying")).to_be_visible()
        step = get_run(run_id, home).step
        process, again = serve(home, urlsplit(address).port)
        assert again == address, "the same access token, so the open page goes on"
        assert boot_id(address) != before
        expect(page.get_by_text("Connection lost, retrying")).to_be_hidden()
        expect(live(page)).to_have_attribute("data-run", run_id)
        page.wait_for_function("step => fetch('api/runs').then(a => a.json()).then(d => d.runs[0].step > step)", arg=step)
        # What the page holds is enough: the new server knows nothing of the old one's sessions.
        live(page).locator(".wb-button-stop").click()
        expect(live(page)).to_have_attribute("data-state", "stopped", timeout=LONG)
    finally:
        process.terminate()
        end_runs(home)
        process.wait(30)


def test_quick_start_trains_on_the_sample_data(page, server, home):
    page.goto(server.url)
    page.locator("#quick-start").click()
    expect(page.locator("#train-start")).to_be_visible()
    expect(live(page)).to_have_attribute("data-state", re.compile("queued|running"), timeout=LONG)
    expect(live(page).locator(".wb-live-name")).to_have_text("support_pairs on mini")
    (run,) = list_runs(home)
    assert load_draft(home).data == run.data
    live(page).locator(".wb-button-stop").click()
    expect(live(page)).to_have_attribute("data-state", re.compile("stopped|completed"), timeout=LONG)
