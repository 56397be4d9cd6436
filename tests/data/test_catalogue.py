import shutil

import pytest

from workbench.data import import_file, open_dataset
from workbench.errors import DataError


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("sentence1,sentence2,score\n" + "".join(f"a {i},b {i},{i / 40}\n" for i in range(41)), encoding="utf-8")
    return path


def test_the_same_file_is_stored_once(home, pairs):
    assert import_file(pairs, home).ref == import_file(pairs, home).ref


@pytest.mark.parametrize("removed", ["rows", "rows/data-00000-of-00001.arrow", "."])
def test_a_file_whose_stored_rows_were_removed_is_stored_again(home, pairs, removed):
    stored = import_file(pairs, home)
    gone = stored.folder / removed
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    if removed != ".":
        with pytest.raises(DataError, match="import the file again"):
            stored.table()
    again = import_file(pairs, home)
    assert len(again.table()) == 41
    assert open_dataset(again.ref.partition("/")[0], home).ref == again.ref
