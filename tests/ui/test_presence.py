import subprocess
import sys

import pytest

from workbench.settings import Settings
from workbench.ui import create_app
from workbench.ui.presence import Presence
from workbench.ui.uploads import clear_leftovers, store_upload


def test_the_first_server_is_alone_and_the_next_is_not(home):
    home.mkdir()
    first = Presence(home)
    second = Presence(home)
    assert first.alone and not second.alone
    first.leave()
    assert not Presence(home).alone, "the second is still there"


def test_a_server_that_was_killed_counts_no_more(home):
    home.mkdir()
    code = "import os, sys, pathlib\nfrom workbench.ui.presence import Presence\nPresence(pathlib.Path(sys.argv[1]))\nos._exit(9)"
    assert subprocess.run([sys.executable, "-c", code, str(home)], timeout=60).returncode == 9
    assert len(list((home / "servers").iterdir())) == 1
    here = Presence(home)
    assert here.alone
    assert len(list((home / "servers").iterdir())) == 1
    here.leave()
    assert list((home / "servers").iterdir()) == []


def test_where_it_cannot_be_told_it_is_not_alone(home):
    home.mkdir()
    (home / "servers").write_text("")
    assert not Presence(home).alone


@pytest.fixture
def leftovers(home, tmp_path):
    source = tmp_path / "x.csv"
    source.write_text("a\n")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    cache = home / "cache"
    (cache / "abc").mkdir(parents=True)
    (cache / "abc" / "data.csv").write_text("x" * 100)
    (cache / "tmp123").write_text("half")
    (cache / "link").symlink_to(outside)
    whole, half = store_upload(source, home), store_upload(source, home)
    (home / "uploads" / half / "name.json").unlink()
    (home / "uploads" / "notes").mkdir()
    return whole, outside


def test_what_a_dead_server_left_is_cleared_and_nothing_else(home, leftovers):
    whole, outside = leftovers
    clear_leftovers(home)
    assert list((home / "cache").iterdir()) == []
    assert sorted(path.name for path in (home / "uploads").iterdir()) == sorted([whole, "notes"])
    assert (outside / "kept").exists()


def test_a_cache_that_leads_elsewhere_is_left_alone(home, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    home.mkdir()
    (home / "cache").symlink_to(outside)
    clear_leftovers(home)
    assert (outside / "kept").exists()


@pytest.mark.parametrize("busy", [False, True])
def test_the_start_clears_only_where_no_other_server_works(home, leftovers, busy):
    other = Presence(home) if busy else None
    create_app(Settings(home=home, needs_token=False))
    assert (home / "cache" / "abc" / "data.csv").exists() is busy
    if other is not None:
        other.leave()
