"""One home, one server and one page for all tests of a file; building a page takes longer than a test."""

import pytest

from tests.ui.conftest import Watch, serving, watched_page
from workbench.settings import Settings


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("one-page") / "home"


@pytest.fixture(scope="module")
def server(home):
    with serving(Settings(home=home, port=0, needs_token=False)) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser):
    """One page, which every test loads again: the browser keeps the scripts."""
    with watched_page(browser, Watch(allowed=["Connection errored out", "AbortError"])) as opened:
        yield opened
