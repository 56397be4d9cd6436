import os

import pytest

from workbench.errors import DataError
from workbench.ui.uploads import KEPT_SECONDS, delete_upload, prune_uploads, store_upload, upload_name, upload_path


def test_an_upload_is_copied_under_the_home_and_its_name_is_only_data(home, tmp_path):
    source = tmp_path / "Kunden & Verträge (1).csv"
    source.write_text("a,b\n1,2\n")
    token = store_upload(source, home)
    stored = upload_path(token, home)
    assert stored.is_relative_to(home)
    assert stored.read_text() == "a,b\n1,2\n"
    assert "Kunden" not in str(stored)
    assert upload_name(token, home) == source.name


def test_a_file_that_is_no_table_is_refused(home, tmp_path):
    source = tmp_path / "model.exe"
    source.write_text("x")
    with pytest.raises(DataError, match=r"`model.exe` is no CSV"):
        store_upload(source, home)


@pytest.mark.parametrize("token", ["", "../../etc/passwd", "a" * 32, "/etc/passwd", "..", "A" * 32])
def test_a_token_that_stands_for_nothing_is_refused(home, token):
    with pytest.raises(DataError, match="upload it again"):
        upload_path(token, home)


def test_an_imported_upload_is_removed(home, tmp_path):
    source = tmp_path / "x.csv"
    source.write_text("a\n")
    token = store_upload(source, home)
    delete_upload(token, home)
    assert list((home / "uploads").iterdir()) == []
    delete_upload("../..", home)
    assert home.is_dir()


def test_old_uploads_are_pruned(home, tmp_path):
    source = tmp_path / "x.csv"
    source.write_text("a\n")
    old, new = store_upload(source, home), store_upload(source, home)
    folder = home / "uploads" / old
    past = folder.stat().st_mtime - KEPT_SECONDS - 60
    os.utime(folder, (past, past))
    prune_uploads(home)
    assert [path.name for path in (home / "uploads").iterdir()] == [new]
