"""A server with a home of its own, and Chromium looking at it. No request may leave the machine."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from workbench.settings import Settings

LOCAL_HOSTS = {"127.0.0.1", "localhost"}

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

CONSOLE_ALLOWED = (
    "[svelte-i18n]",
    "The input spec uses Vega-Lite",
    "AbortError: signal is aborted without reason",
)
"""Noise of Gradio's own front end."""

TIMEOUT_MS = 30_000
"""Upper bound for what the page waits for; generous, because the machine may be busy."""


@dataclass
class Server:
    """A running server.

    Attributes:
        url: Where it listens, without a slash at the end.
        settings: What it was started with.
        token: Its access token, None where it asks for none.
    """

    url: str
    settings: Settings
    token: str | None = None

    @property
    def home(self) -> Path:
        """The server's home folder."""
        return self.settings.home


@dataclass
class Watch:
    """What a page did that it should not have done.

    Attributes:
        outside: Requests to other hosts; they were aborted.
        errors: Uncaught exceptions and console errors.
        allowed: Further parts of messages a test expects, e.g. a connection that it cut itself.
    """

    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def unexpected(self) -> list[str]:
        """Errors that are on neither allow-list."""
        return [text for text in self.errors if not any(part in text for part in (*CONSOLE_ALLOWED, *self.allowed))]


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings of the server under test; override to change them. Who may ask is tested by itself, see `test_doors.py`."""
    return Settings(home=home, port=0, needs_token=False)


@contextmanager
def serving(settings: Settings) -> Iterator[Server]:
    """The whole application in a thread, on a free port."""
    import uvicorn

    from workbench.ui import create_app

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = create_app(dataclasses.replace(settings, port=listener.getsockname()[1]))
    running = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, proxy_headers=False, server_header=False)
    )
    ready = threading.Event()
    original = running.startup

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        await original(sockets=sockets)
        ready.set()

    running.startup = startup
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert ready.wait(60), "the server did not start"
    yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", settings, app.state.token)
    end_runs(settings.home)
    running.should_exit = True
    thread.join(20)
    app.state.context.close()


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """A server with a home of its own."""
    with serving(settings) as running:
        yield running


@pytest.fixture
def pairs_csv(tmp_path: Path, sentences: list[str]) -> Path:
    """A file of 160 scored pairs that share no sentence, as few as a verdict can be given on."""
    path = tmp_path / "pairs.csv"
    lines = ["left,right,similarity"]
    for index in range(0, len(sentences) - 40, 1):
        other = sentences[index] if index % 2 else f"{sentences[index]} today"
        lines.append(f"{sentences[index]},{other} {index},{(index % 6)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def end_runs(home: Path) -> None:
    """Stop what a test left running, so that no process outlives it."""
    if not (home / "workbench.db").exists():
        return
    from workbench.runs import follow, list_runs, request_stop

    for run in list_runs(home):
        if run.active:
            request_stop(run.run_id, home, keep="none")
    for run in list_runs(home):
        if run.active:
            follow(run.run_id, home)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """One Chromium for all tests; without one they are skipped, under CI they fail."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no Chromium on this machine, and CI must not skip the tests of the page")
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=TIMEOUT_MS)

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def watch() -> Watch:
    """What `page` did that it should not; asserted empty when the test ends."""
    return Watch()


@pytest.fixture
def navigates(watch: Watch) -> None:
    """For a test that leaves a page: what Gradio has in the air then is cut off, and it says so."""
    watch.allowed.append("Connection errored out")


@contextmanager
def watched_page(browser, watch: Watch) -> Iterator[object]:
    """A fresh page (1280 x 900) that records outside requests and errors; when it is left, there must have been none."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)

    def route(handler) -> None:
        if urlsplit(handler.request.url).hostname in LOCAL_HOSTS or handler.request.url.startswith(("data:", "blob:")):
            handler.continue_()
        else:
            watch.outside.append(handler.request.url)
            handler.abort()

    context.route("**/*", route)
    opened = context.new_page()
    opened.on("pageerror", lambda error: watch.errors.append(f"pageerror: {error}"))
    opened.on("console", lambda message: watch.errors.append(f"console: {message.text}") if message.type == "error" else None)
    yield opened
    unexpected = watch.unexpected()  # closing cuts off what is in the air, which is no error of the page
    context.close()
    assert watch.outside == []
    assert unexpected == []


@pytest.fixture
def page(browser, watch: Watch) -> Iterator[object]:
    """A fresh page for one test, see `watched_page`."""
    with watched_page(browser, watch) as opened:
        yield opened


@pytest.fixture
def open_tab(page, server: Server) -> Callable[..., object]:
    """A function that opens the workbench at a tab and returns the page."""

    def open_(tab: str = "Build", query: str = "") -> object:
        page.goto(f"{server.url}/{query}")
        page.get_by_role("tab", name=tab, exact=True).click()
        return page

    return open_
