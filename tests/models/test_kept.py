"""The model that a run keeps: whole at every instant, whatever ends the writer, and nothing left over."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.models.kept import drop_model, follow_pointer, keep_model, kept_model, kept_step, mend_model


def writer(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").write_text(text * 1000)
        (folder / "modules.json").write_text(text)

    return write


def content(run: Path) -> str | None:
    folder = kept_model(run)
    return None if folder is None else (folder / "modules.json").read_text()


def names(run: Path) -> list[str]:
    return sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if not path.is_file())


def test_the_path_stays_and_only_the_last_model_is_there(tmp_path: Path) -> None:
    for step, text in ((0, "a"), (5, "b"), (9, "c")):
        keep_model(tmp_path, step, writer(text))
    assert content(tmp_path) == "c" == (tmp_path / "model" / "modules.json").read_text()
    assert not (tmp_path / "model").readlink().is_absolute()
    assert names(tmp_path) == ["model", "models", "models/0003-step-9"]
    (tmp_path / "run").mkdir()
    tmp_path.rename(moved := tmp_path.with_name("moved"))  # a home may be moved
    assert content(moved) == "c"
    drop_model(moved)
    assert names(moved) == ["run"]


def test_a_system_without_links_has_a_file_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EPERM, "A required privilege is not held")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for step, text in ((3, "a"), (5, "b")):
        keep_model(tmp_path, step, writer(text))
    assert (tmp_path / "model").is_file()
    assert content(tmp_path) == "b"
    assert follow_pointer(tmp_path / "model") == tmp_path / "models" / "0002-step-5"
    mend_model(tmp_path)
    assert content(tmp_path) == "b"
    drop_model(tmp_path)
    assert content(tmp_path) is None
    assert names(tmp_path) == []


@pytest.mark.parametrize("text", ["../../etc", "models/../../x", "models/0001-step-1/../..", "\x00", "models/0001-step-1\nmore"])
def test_a_pointer_leads_nowhere_else(text: str, tmp_path: Path) -> None:
    (tmp_path / "model").write_text(text)
    assert follow_pointer(tmp_path / "model") == tmp_path / "model"
    assert kept_model(tmp_path) is None


def test_a_plain_folder_of_an_earlier_version_goes_on_working(tmp_path: Path) -> None:
    writer("old")(tmp_path / "model")
    mend_model(tmp_path)
    assert content(tmp_path) == "old"
    keep_model(tmp_path, 4, writer("new"))
    assert content(tmp_path) == "new"


@pytest.mark.parametrize(
    ("there", "kept"),
    [(("model.old", "model.new"), "model.old"), (("model.new",), "model.new"), (("model", "model.old"), "model")],
)
def test_what_an_earlier_version_left_between_two_renames_is_put_right(there: tuple[str, ...], kept: str, tmp_path: Path) -> None:
    for name in there:
        writer(name)(tmp_path / name)
    mend_model(tmp_path)
    assert content(tmp_path) == kept
    assert names(tmp_path) == ["model"]


def test_a_full_disk_leaves_the_old_model_and_no_draft(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        writer("half")(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    keep_model(tmp_path, 3, writer("old"))
    with pytest.raises(OSError, match="No space"):
        keep_model(tmp_path, 5, fill)
    assert content(tmp_path) == "old"
    assert names(tmp_path) == ["model", "models", "models/0001-step-3"]


KILLED = """
import os, sys
from pathlib import Path
from workbench.models import kept

run, at, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def write(folder):
    folder.mkdir()
    (folder / "weights").write_text("x" * 1000)
    if at == "write":
        os._exit(9)
    (folder / "modules.json").write_text("new")

def killed(owner, name):
    real = getattr(owner, name)
    def call(*args, **kwargs):
        if when == "before":
            os._exit(9)
        real(*args, **kwargs)
        os._exit(9)
    setattr(owner, name, call)

if at != "write":
    killed(Path if at in ("rename", "replace", "symlink_to") else kept, at)
kept.keep_model(run, 7, write)
"""


@pytest.mark.parametrize("at", ["write", "sync_tree", "rename", "sync_folder", "_point", "symlink_to", "replace", "_clear"])
def test_a_kill_between_any_two_steps_leaves_one_whole_model(at: str, tmp_path: Path) -> None:
    keep_model(tmp_path, 3, writer("old"))
    for when in ("before", "after") if at != "write" else ("before",):
        done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), at, when], check=False)
        assert done.returncode == 9
        found = content(tmp_path)
        assert found in {"old", "new"}
        mend_model(tmp_path)
        assert content(tmp_path) in {found, "new"}
        assert len(names(tmp_path)) == 3, names(tmp_path)


def test_mending_takes_away_what_is_only_the_base(tmp_path: Path) -> None:
    keep_model(tmp_path, 0, writer("base"))
    mend_model(tmp_path)
    assert content(tmp_path) is None
    assert names(tmp_path) == []
    mend_model(tmp_path / "no such run")


def test_mending_takes_half_models_and_checkpoints_away(tmp_path: Path) -> None:
    keep_model(tmp_path, 3, writer("whole"))
    writer("half")(tmp_path / "models" / ".writing-1234")
    (tmp_path / "checkpoints" / "checkpoint-5").mkdir(parents=True)
    mend_model(tmp_path)
    assert names(tmp_path) == ["model", "models", "models/0001-step-3"]
    assert content(tmp_path) == "whole"


def test_a_kept_model_says_which_step_it_is_of(tmp_path):
    keep_model(tmp_path, 120, writer("a"))
    assert kept_step(kept_model(tmp_path)) == kept_step(tmp_path / "model") == 120
    plain = tmp_path / "older" / "model"
    plain.parent.mkdir()
    writer("b")(plain)
    assert kept_step(plain) == 0
