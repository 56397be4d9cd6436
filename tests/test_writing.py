"""Files that are whole or not there, on a disk that fills and in folders that are closed."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import InputError, RunError
from workbench.writing import check_output_file, check_output_folder, copy_folder, replacing, told, write_json

LIMITED = """
import resource, signal, sys
from pathlib import Path
from workbench.writing import {name}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
{body}
"""


def limited(name: str, body: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a program whose files may have 5,000 bytes."""
    program = LIMITED.format(name=name, body=body)
    return subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, check=False)


def test_a_file_that_cannot_be_finished_is_what_it_was(tmp_path: Path) -> None:
    file = tmp_path / "vectors.npy"
    file.write_text("old")
    done = limited("replacing", "with replacing(Path(sys.argv[1]), 'wb') as s: s.write(b'x' * 100_000)", file)
    assert done.returncode == 1 and "File too large" in done.stderr
    assert file.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["vectors.npy"]


def test_a_folder_that_cannot_be_copied_whole_is_not_there(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.json").write_text("{}")
    (source / "weights").write_bytes(b"x" * 100_000)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        done = limited("copy_folder", "copy_folder(Path(sys.argv[1]), Path(sys.argv[2]))", source, tmp_path / name)
        assert done.returncode == 1 and "File too large" in done.stderr
    assert sorted(item.name for item in tmp_path.iterdir()) == ["empty", "source"]
    assert not list((tmp_path / "empty").iterdir())


def test_permissions_stay(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("old")
    file.chmod(0o604)
    with replacing(file) as stream:
        stream.write("new")
    assert file.read_text() == "new" and file.stat().st_mode & 0o777 == 0o604
    folder.mkdir()
    folder.chmod(0o710)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "modules.json").write_text("[]")
    copy_folder(tmp_path / "source", folder)
    assert folder.stat().st_mode & 0o777 == 0o710
    assert [item.name for item in folder.iterdir()] == ["modules.json"]


def test_a_link_stays_one_and_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    with replacing(tmp_path / "link") as stream:
        stream.write("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").read_text() == "new"
    with replacing(Path("/dev/null")) as stream:
        stream.write("gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(IsADirectoryError), replacing(tmp_path):
        pass


def test_an_error_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), replacing(tmp_path / "file") as stream:
        stream.write("half")
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_json_holds_no_nan(tmp_path: Path) -> None:
    import numpy as np

    write_json(
        tmp_path / "a" / "b.json", {"x": [float("nan"), np.float32("inf"), 1.5], "half": "\ud800", "whole": "ü"}, indent=None
    )
    assert (tmp_path / "a" / "b.json").read_text(encoding="utf-8") == '{"x": [null, null, 1.5], "half": "\\ud800", "whole": "ü"}\n'


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), r"refused to write .*Permission denied"),
    ],
)
def test_refusals_are_sentences_that_name_the_folder(error: Exception, words: str, tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=f"^The vectors could not be written: .*{words}") as refused,
        told(tmp_path / "x", "The vectors", " More."),
    ):
        raise error
    assert str(tmp_path) in refused.value.message and refused.value.message.endswith(" More.")
    with pytest.raises(RuntimeError, match="ours"), told(tmp_path, "It"):
        raise RuntimeError("a mistake of ours")


def test_an_output_folder_is_tried_and_nothing_is_left_of_the_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_output_folder(str(tmp_path / "a" / "b"), "--output") == tmp_path / "a" / "b"
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    (tmp_path / "left" / ".writing-1234").mkdir(parents=True)
    check_output_folder(str(tmp_path / "left"), "--output")
    assert not list((tmp_path / "left").iterdir())
    for name, words in (("file", "is a file"), (".", "not empty"), ("file/below", "cannot be written to")):
        with pytest.raises(InputError, match=words):
            check_output_folder(str(tmp_path / name), "--output")

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="cannot be written to: Permission denied"):
        check_output_folder(str(tmp_path / "left"), "--output")


def test_an_output_file_is_tried_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_text("old")
    check_output_file(str(tmp_path / "old"), "--csv")
    check_output_file("/dev/null", "--csv")
    assert (tmp_path / "old").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(InputError, match="there is no folder"):
        check_output_file(str(tmp_path / "a" / "b"), "--csv")
    with pytest.raises(InputError, match="is a folder"):
        check_output_file(str(tmp_path), "--csv")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="Permission denied; name another"):
        check_output_file(str(tmp_path / "old"), "--csv")
