"""Takes the pictures in this folder again: every tab, light, dark and narrow, with a finished run on the sample data.

    python docs/screenshots.py

starts a workbench with a home of its own, presses Quick start, waits for the verdict and compares two models in the playground.
Needs what the tests of the page need: the tests' requirements and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

VIEWS = {"": (1280, 900, "light"), "-dark": (1280, 900, "dark"), "-narrow": (390, 844, "light")}
TABS = ("Build", "Data", "Train", "Runs", "Playground")
PATIENCE_MS = 1_200_000
SETTLE_MS = 2_000


def run_once(page: Any, address: str) -> None:
    """Train on the sample data and wait for the verdict."""
    page.goto(address)
    page.locator("#quick-start").click()
    page.locator('#train-live .wb-live[data-state="completed"]').wait_for(timeout=PATIENCE_MS)


def show(page: Any, tab: str) -> None:
    """Open a tab and bring it to where it has something to show."""
    page.get_by_role("tab", name=tab, exact=True).click()
    if tab == "Train":
        page.locator("#train-live .wb-cell").first.wait_for()
        page.locator('#train-live [data-chart="loss"] .js-plotly-plot, #train-live .js-plotly-plot').first.wait_for()
    elif tab == "Runs":
        page.locator('#runs-table [data-testid="cell-0-0"]').click()
        page.locator("#runs-summary .wb-notice").wait_for()
    elif tab == "Playground":
        page.locator("#playground-compare").click()
        page.locator('#playground-heatmaps .wb-heatmaps[data-state="ready"]').wait_for(timeout=PATIENCE_MS)
    elif tab == "Build":
        page.locator('#build-stack .wb-stack[data-state="ready"]').wait_for()
    page.wait_for_timeout(SETTLE_MS)  # the network is never idle: the Train tab asks for news every second
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")


def take(browser: Any, address: str, folder: Path) -> None:
    """Write one picture for each tab and view."""
    for suffix, (width, height, theme) in VIEWS.items():
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.goto(f"{address}&__theme={theme}")  # the address ends with the access token
        for tab in TABS:
            show(page, tab)
            page.screenshot(path=folder / f"{tab.lower()}{suffix}.png", full_page=True)
        context.close()


def main() -> None:
    """Start a workbench and take the pictures."""
    from playwright.sync_api import sync_playwright

    from tests.ui.conftest import CHROMIUM_FLAGS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent, metavar="DIR", help="where the pictures go (this folder)")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is no Chromium on this machine; install it (Debian: apt-get install chromium).")
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, str(ROOT / "app.py"), "--port", "0", "--home", home]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = server.stdout.readline().split()[2]
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
                page = browser.new_page()
                run_once(page, address)
                page.close()
                take(browser, address, options.to)
                browser.close()
        finally:
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    main()
