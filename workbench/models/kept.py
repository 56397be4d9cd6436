"""The model that a run keeps: each in a numbered folder of its own, and `model` points to the one that counts.

    RUN/models/0003-step-120/   a whole model folder, on the disk to its last byte before it has this name
    RUN/model                   a link to it; where the system makes no links, a file that holds the path

Whatever kills the writer, `model` points to the whole old one or to the whole new one. Older runs have a plain folder `model`.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from workbench.writing import sync_folder, sync_tree

MODEL_FOLDER = "model"
NUMBERED = "models"
_NAME = re.compile(r"(\d{4,})-step-(\d+)")
_POINTER = re.compile(rf"{NUMBERED}/\d{{4,}}-step-\d+\n?")
_DRAFT = ".writing-"
_POINTER_BYTES = 100


def follow_pointer(path: Path) -> Path:
    """Return the folder that a model path stands for: itself, or what the file says that stands for a link."""
    try:
        if path.is_file() and path.stat().st_size < _POINTER_BYTES:
            text = path.read_text(encoding="utf-8")
            if _POINTER.fullmatch(text):
                return path.parent / text.strip()
    except (OSError, UnicodeDecodeError):
        pass
    return path


def kept_model(run: Path) -> Path | None:
    """Return where the model of a run is, None where it has none.

    Args:
        run: The run's folder.
    """
    folder = follow_pointer(run / MODEL_FOLDER)
    return folder if (folder / "modules.json").is_file() else None


def kept_step(model: Path) -> int:
    """Return the step that a kept model is of; 0 where its folder, one of an older run, does not say."""
    found = _NAME.fullmatch(model.resolve().name)
    return int(found[2]) if found else 0


def keep_model(run: Path, step: int, write: Callable[[Path], None]) -> None:
    """Write a model and let it take the place of the one that was kept.

    Args:
        run: The run's folder.
        step: The step that the weights are of.
        write: Writes a model folder to the path it is given.

    Raises:
        OSError: If the disk refuses; the model that was kept still is.
    """
    numbered = run / NUMBERED
    numbered.mkdir(parents=True, exist_ok=True)
    draft = numbered / f"{_DRAFT}{secrets.token_hex(4)}"
    try:
        write(draft)
        sync_tree(draft)
        name = f"{1 + max((number for number, _, _ in _whole(run)), default=0):04d}-step-{step}"
        draft.rename(numbered / name)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync_folder(numbered)
    _point(run, name)
    _clear(run, name)


def drop_model(run: Path) -> None:
    """Remove the model of a run, and whatever is left of earlier ones."""
    place = run / MODEL_FOLDER
    if place.is_symlink() or place.is_file():
        place.unlink()  # first, so that no one finds half of what it points to
    else:
        shutil.rmtree(place, ignore_errors=True)
    sync_folder(run)
    shutil.rmtree(run / NUMBERED, ignore_errors=True)


def mend_model(run: Path) -> None:
    """Put right what a run left that ended by itself or was killed: half models go, and `model` is a whole one or none.

    A model of step 0 goes too: it is the base, and no outcome of the run.

    Args:
        run: The folder of a run with no process left.
    """
    place = run / MODEL_FOLDER
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    _mend_plain(run)
    if place.is_dir() and not place.is_symlink():
        with suppress(OSError):
            _clear(run, None)
        return
    whole = _whole(run)
    pointed = follow_pointer(place).resolve().name
    # After a kill between the new folder and the pointer the newest is whole, too; it was the better one.
    step, name = max(((number, step, name) for number, step, name in whole), default=(0, 0, ""))[1:]
    with suppress(OSError):
        if not name or step == 0:
            if place.is_symlink() or place.is_file() or whole or (run / NUMBERED).is_dir():
                drop_model(run)
            return
        if pointed != name:
            _point(run, name)
        _clear(run, name)


def _mend_plain(run: Path) -> None:
    """Bring back what earlier versions, which renamed two plain folders, left between the two renames."""
    place = run / MODEL_FOLDER
    for suffix in (".old", ".new"):
        rest = run / (MODEL_FOLDER + suffix)
        if not rest.is_dir():
            continue
        if not place.exists() and not place.is_symlink() and (rest / "modules.json").is_file():
            with suppress(OSError):
                rest.rename(place)
        shutil.rmtree(rest, ignore_errors=True)


def _whole(run: Path) -> list[tuple[int, int, str]]:
    """Return number, step and name of the models that were written to their end."""
    try:
        names = [item.name for item in (run / NUMBERED).iterdir()]
    except OSError:
        return []
    return [(int(found[1]), int(found[2]), name) for name in names if (found := _NAME.fullmatch(name))]


def _point(run: Path, name: str) -> None:
    """Let `model` stand for a numbered folder, in one step."""
    place, target = run / MODEL_FOLDER, f"{NUMBERED}/{name}"
    draft = run / f"{_DRAFT}{secrets.token_hex(4)}"
    try:
        try:
            draft.symlink_to(target, target_is_directory=True)
        except (OSError, NotImplementedError):
            with draft.open("x", encoding="utf-8") as stream:
                stream.write(target + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        if place.is_dir() and not place.is_symlink():
            # A plain folder cannot be replaced in one step; the new one is whole by now, and found if this is where it ends.
            shutil.rmtree(place)
        draft.replace(place)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(run)


def _clear(run: Path, name: str | None) -> None:
    """Remove every numbered folder but one, and drafts."""
    for item in run.glob(f"{_DRAFT}*"):
        item.unlink(missing_ok=True)
    numbered = run / NUMBERED
    for item in numbered.iterdir() if numbered.is_dir() else ():
        if item.name != name:
            shutil.rmtree(item, ignore_errors=True)
