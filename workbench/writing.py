"""Files that are whole or not there: written beside their place, brought to the disk, then renamed.

A full disk, a kill or a power cut leaves what was there before, never half of something new.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from workbench.errors import InputError, RunError
from workbench.json_text import dump_json

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DRAFT = ".writing-"


@contextmanager
def replacing(path: Path, mode: str = "w", newline: str | None = None) -> Iterator[IO[Any]]:
    """Open a draft beside a file; when the block ends, the draft takes the file's place, and its permissions.

    Args:
        path: The file to write; its folder is there. A link stays one: what it points to is replaced.
        mode: `w` for text (UTF-8) or `wb`.
        newline: As for `open`.

    Raises:
        OSError: If it cannot be written; the file is then what it was.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        # /dev/stdout or a pipe has no place to be renamed to.
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with path.open(mode, encoding=None if "b" in mode else "utf-8", newline=newline) as stream:
            yield stream
        return
    draft = path.with_name(f"{_DRAFT}{secrets.token_hex(6)}-{path.name[-100:]}")
    try:
        with draft.open(mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8", newline=newline) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists():
            draft.chmod(stat.S_IMODE(path.stat().st_mode))
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file, as a whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    with replacing(path) as stream:
        stream.write(text)


def write_json(path: Path, data: Any, indent: int | None = 2) -> None:
    """Write a JSON file, as a whole or not at all; its folder is made if missing.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, dump_json(data, indent) + "\n")


def sync_tree(folder: Path) -> None:
    """Bring a folder and all it holds to the disk.

    Raises:
        OSError: If the disk refuses, as a full one may do only now.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            # Windows flushes only what is open for writing.
            with (Path(place) / name).open("r+b") as stream:
                os.fsync(stream.fileno())
        sync_folder(Path(place))


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    # Windows opens no folders, and some network drives flush none; a rename there is as safe as it gets.
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder to a place where nothing or an empty folder is, as a whole or not at all.

    Args:
        source: What to copy; links in it are followed.
        target: An empty folder keeps its permissions.

    Raises:
        OSError: If it cannot be copied; the target is then what it was.
    """
    there = target.is_dir()
    # Inside an empty folder, since its own parent may be closed to us.
    draft = (target if there else target.parent) / f"{_DRAFT}{secrets.token_hex(6)}"
    try:
        shutil.copytree(source, draft)
        sync_tree(draft)
        if there:
            # modules.json comes last: a folder that has it counts as a whole model.
            for item in sorted(draft.iterdir(), key=lambda item: (item.name == "modules.json", item.name)):
                item.rename(target / item.name)
            draft.rmdir()
        else:
            draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync_folder(target)
    sync_folder(target.parent)


def check_output_folder(text: str, option: str) -> Path:
    """Return a folder to write to, tried out: it can be made, or is there, empty and open to writing. Nothing is left of the try.

    Args:
        text: As the user named it.
        option: The option it came by, for the sentence.

    Raises:
        InputError: If nothing can be written there, or something is there already.
    """
    path = Path(text).expanduser().resolve()
    field = option.strip("-").replace("-", "_")
    try:
        if path.is_dir():
            # What a copy that was killed left behind is ours.
            if any(not item.name.startswith(_DRAFT) for item in path.iterdir()):
                raise InputError(f"`{option} {text}` exists and is not empty; name a new folder.", field=field)
            for leftover in path.iterdir():
                shutil.rmtree(leftover, ignore_errors=True)
        elif path.exists():
            raise InputError(f"`{option} {text}` is a file; name a new folder.", field=field)
        existing = next(folder for folder in (path, *path.parents) if folder.exists())
        trial = existing / f"{_DRAFT}{secrets.token_hex(6)}"
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise InputError(
            f"`{option} {text}` cannot be written to: {error.strerror or error}; name a folder that you may write to.", field=field
        ) from None
    return path


def check_output_file(text: str, option: str) -> Path:
    """Return a file to write to, tried out: its folder is there and open to writing.

    Args:
        text: As the user named it.
        option: The option it came by, for the sentence.

    Raises:
        InputError: If nothing can be written there.
    """
    path = Path(text).expanduser()
    field = option.strip("-").replace("-", "_")
    if not path.parent.is_dir():
        raise InputError(f"`{option} {text}`: there is no folder `{path.parent}`.", field=field)
    if path.is_dir():
        raise InputError(f"`{option} {text}` is a folder; name a file.", field=field)
    target = path.resolve()
    if not target.exists() or target.is_file():
        trial = target.with_name(f"{_DRAFT}{secrets.token_hex(6)}")
        try:
            trial.touch(exist_ok=False)
            trial.unlink()
            if target.exists() and not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            if error.errno not in DISK_FULL:  # those are said when it is known what was not written
                reason = error.strerror or error
                raise InputError(f"`{option} {text}` cannot be written to: {reason}; name another file.", field=field) from None
    return path


@contextmanager
def told(path: Path, what: str, remedy: str = "") -> Iterator[None]:
    """Put the system's refusal to write into words.

    Args:
        path: What the block writes.
        what: The same as the start of a sentence.
        remedy: A further sentence, e.g. where the whole of it is.

    Raises:
        RunError: If the system refused to write.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and not is_disk_full(error):
            raise
        raise RunError(f"{what} could not be written: {describe_refusal(error, path)}{remedy}") from None


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error says that a disk is full, by its number or, from libraries with errors of their own, its words."""
    number = error.errno if isinstance(error, OSError) else None
    text = str(error)
    return number in DISK_FULL or "No space left on device" in text or "disk is full" in text or "File too large" in text


def describe_refusal(error: BaseException, path: Path) -> str:
    """Return why the system refused to write, and what to do, as the end of a sentence and a full stop."""
    folder = path if path.is_dir() else path.parent
    if is_disk_full(error):
        return f"the disk is full that `{folder}` is on; what was there before is as it was. Free some space and try again."
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f"the system refused to write to `{folder}` ({reason}); change its rights or choose another place."
