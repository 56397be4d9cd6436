"""Data sets under the home: imported once, versioned, memory-mapped ever after.

`datasets/ID/vN/` holds the rows (Arrow) and `meta.json`, written last: a folder without it is not there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.cleaning import Cleaned
from workbench.data.inspection import DataReport, examine
from workbench.data.splitting import Split
from workbench.data.texts import chunks
from workbench.data.values import Scale
from workbench.errors import DataError
from workbench.recipe.kinds import KINDS

if TYPE_CHECKING:
    import datasets

_REF = re.compile(r"([a-z0-9][a-z0-9-]{0,79})(?:/v([1-9]\d{0,5}))?")
_META = "meta.json"
_SPLIT = "split.json"
_PARTS = ("train", "validation", "test")
_CORRECTED = re.compile(r" \(corrected, v\d+\)$")


@dataclass(frozen=True)
class StoredDataset:
    """One version of a data set.

    Attributes:
        ref: `ID/vN`.
        name: What it is called, usually the file's name.
        kind: A key of `KINDS`.
        rows: Number of rows.
        roles: Role -> column of the file.
        score_scale: What the scores were in the file; None for other kinds.
        classes: Names of the classes.
        folder: Where it lies.
        report: The report of its import, as JSON data.
        created: When, ISO 8601 in UTC.
        parent: The version this one corrects; None for a file's own rows.
    """

    ref: str
    name: str
    kind: str
    rows: int
    roles: Mapping[str, str]
    score_scale: Scale | None
    classes: tuple[str, ...]
    folder: Path
    report: Mapping[str, Any]
    created: str
    parent: str | None = None

    def table(self) -> datasets.Dataset:
        """Return the rows, memory-mapped; columns named by role, scores 0 to 1, labels whole numbers.

        Raises:
            DataError: If the folder is damaged.
        """
        import datasets

        try:
            table = datasets.load_from_disk(str(self.folder / "rows"))
        except Exception as error:
            raise DataError(f"The data set {self.ref} cannot be opened ({error}); import the file again.", field="data") from None
        assert isinstance(table, datasets.Dataset)
        return table

    def opens(self) -> bool:
        """Return whether all rows are there."""
        try:
            return len(self.table()) == self.rows
        except DataError:
            return False

    def kept_split(self, fractions: tuple[float, float], seed: int) -> Split | None:
        """Return the split that a corrected version keeps, so that corrections move no row to another part.

        Args:
            fractions: Shares of validation and test part that are wanted.
            seed: Of the split that is wanted.

        Returns:
            None for a version that keeps none, or one drawn in another way.
        """
        try:
            data = json.loads((self.folder / _SPLIT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if (tuple(data["fractions"]), data["seed"]) != (fractions, seed):
            return None
        rows = {name: np.array(data[name], dtype=np.int64) for name in _PARTS}
        return Split(**rows, method=data["method"], dropped=data["dropped"], leaking=data["leaking"])


def is_dataset_ref(text: str) -> bool:
    """Return whether a text has the form of a reference, `ID` or `ID/vN`."""
    return _REF.fullmatch(text) is not None


def import_file(
    path: str | Path,
    home: Path,
    columns: Mapping[str, str] | None = None,
    score_scale: Scale | None = None,
    name: str | None = None,
) -> StoredDataset:
    """Check a file and store its rows; the same file with the same roles and scale is stored once, for as long as what is stored opens.

    Args:
        path: A CSV, TSV or JSON Lines file.
        home: The workbench's home.
        columns: Role -> column; None to guess.
        score_scale: Lowest and highest possible score; None to see it in the file.
        name: What to call it; None for the file's name.

    Raises:
        DataError: If the file cannot be read or trained on, or the disk is full.
    """
    path = Path(path)
    report, cleaned = examine(path, columns, score_scale)
    if not report.usable or cleaned is None:
        error = next((item for item in report.issues if item.severity == "error"), None)
        raise DataError(f"`{path.name}`: {error.message if error else report.summary}", field="data")
    options = {"roles": dict(report.roles), "score_scale": None if report.score_scale is None else list(report.score_scale)}
    digest = _digest(path)
    identifier = f"{_slug(name or path.stem)}-{digest[:8]}"
    for stored in reversed(list(_versions(home, identifier))):
        unchanged = stored.parent is None
        alike = dict(stored.roles) == options["roles"] and stored.score_scale == report.score_scale
        if unchanged and alike and stored.opens():
            return stored
    try:
        return _store(home, identifier, name or path.name, report, cleaned)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError(
                f"The disk that holds `{home}` is full; free some space and import `{path.name}` again.", field="data"
            ) from None
        raise DataError(f"`{path.name}` cannot be stored under `{home}`: {error.strerror or error}.", field="data") from None


def open_dataset(ref: str, home: Path) -> StoredDataset:
    """Return a stored data set, the latest version where none is named.

    Raises:
        DataError: If there is none of that name.
    """
    match = _REF.fullmatch(ref)
    versions = {} if match is None else {stored.ref: stored for stored in _versions(home, match[1])}
    if match is not None and match[2] is None and versions:
        return list(versions.values())[-1]
    if ref not in versions:
        raise DataError(f"There is no data set {ref!r} under `{home}`; import its file first.", field="data")
    return versions[ref]


def correct_dataset(
    ref: str, home: Path, values: Mapping[int, Any], dropped: Collection[int], split: tuple[Split, tuple[float, float], int] | None
) -> StoredDataset:
    """Store a corrected version of a data set beside it; the old one stays as it is.

    Args:
        ref: The version to correct.
        home: The workbench's home.
        values: Place of a row -> its new score (0 to 1), label, or name of its class.
        dropped: Places of the rows to leave out.
        split: The split to keep, by places in the old version, with the fractions and the seed it was drawn by; None for none.

    Raises:
        DataError: If there is no such data set, or it cannot be written.
    """
    stored = open_dataset(ref, home)
    kind = KINDS[stored.kind]
    columns = {role: stored.table()[role][:] for role in kind.roles}
    classes = list(stored.classes)
    for place, value in values.items():
        if stored.kind == "class_pairs" and value not in classes:
            classes.append(value)
        assert kind.label is not None
        columns[kind.label][place] = classes.index(value) if stored.kind == "class_pairs" else value
    kept = np.ones(stored.rows, dtype=bool)
    kept[list(dropped)] = False
    table = arrow_table(stored.kind, columns).select(np.flatnonzero(kept))
    meta = {
        "kind": stored.kind,
        "rows": len(table),
        "roles": dict(stored.roles),
        "score_scale": None if stored.score_scale is None else list(stored.score_scale),
        "classes": classes,
        "report": dict(stored.report),
        "parent": stored.ref,
    }
    name = _CORRECTED.sub("", stored.name)
    try:
        return _write_version(
            home,
            stored.ref.partition("/")[0],
            table,
            lambda version: {"name": f"{name} (corrected, v{version})", **meta},
            None if split is None else _renumbered(*split, kept),
        )
    except OSError as error:
        raise DataError(f"The corrected rows cannot be stored under `{home}`: {error.strerror or error}.", field="data") from None


def _renumbered(split: Split, fractions: tuple[float, float], seed: int, kept: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a split as JSON data, by the places that rows have once others were left out."""
    place = np.cumsum(kept) - 1
    parts = {name: place[rows[kept[rows]]].tolist() for name in _PARTS for rows in [getattr(split, name)]}
    return {
        **parts,
        "method": split.method,
        "dropped": split.dropped,
        "leaking": split.leaking,
        "fractions": list(fractions),
        "seed": seed,
    }


def list_datasets(home: Path) -> list[StoredDataset]:
    """Return all stored versions, the newest first."""
    root = home / "datasets"
    if not root.is_dir():
        return []
    found = [stored for folder in root.iterdir() if is_dataset_ref(folder.name) for stored in _versions(home, folder.name)]
    return sorted(found, key=lambda stored: stored.created, reverse=True)


def delete_dataset(ref: str, home: Path) -> None:
    """Delete one version.

    Raises:
        DataError: If there is none of that name.
    """
    shutil.rmtree(open_dataset(ref, home).folder)


def _versions(home: Path, identifier: str) -> Iterator[StoredDataset]:
    """Yield the complete versions of a data set, oldest first."""
    folder = home / "datasets" / identifier
    if not folder.is_dir():
        return
    numbered = [(int(item.name[1:]), item) for item in folder.iterdir() if re.fullmatch(r"v[1-9]\d*", item.name)]
    for _, version in sorted(numbered):
        try:
            meta = json.loads((version / _META).read_text(encoding="utf-8"))
            scale = meta["score_scale"]
            yield StoredDataset(
                ref=f"{identifier}/{version.name}",
                name=meta["name"],
                kind=meta["kind"],
                rows=meta["rows"],
                roles=meta["roles"],
                score_scale=None if scale is None else (scale[0], scale[1]),
                classes=tuple(meta["classes"]),
                folder=version,
                report=meta["report"],
                created=meta["created"],
                parent=meta.get("parent"),
            )
        except (OSError, ValueError, KeyError):
            continue  # half-written, or not ours


def _store(home: Path, identifier: str, name: str, report: DataReport, cleaned: Cleaned) -> StoredDataset:
    meta = {
        "name": name,
        "kind": report.kind,
        "rows": cleaned.rows,
        "roles": dict(report.roles),
        "score_scale": None if report.score_scale is None else list(report.score_scale),
        "classes": list(report.classes),
        "report": report.to_dict(),
    }
    table = arrow_table(report.kind or "", cleaned.columns)
    return _write_version(home, identifier, table, lambda version: meta)


def _write_version(
    home: Path,
    identifier: str,
    table: datasets.Dataset,
    meta: Callable[[int], Mapping[str, Any]],
    split: Mapping[str, Any] | None = None,
) -> StoredDataset:
    """Write rows as the next version of a data set.

    Args:
        home: The workbench's home.
        identifier: Name of the data set's folder.
        table: The rows.
        meta: What is known of them, by the number of the version.
        split: The split the version keeps, or None.
    """
    import datasets

    parent = home / "datasets" / identifier
    parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        datasets.disable_progress_bars()
        table.save_to_disk(str(draft / "rows"))
        if split is not None:
            (draft / _SPLIT).write_text(json.dumps(split), encoding="utf-8")
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        version = 1
        while True:
            data = {**meta(version), "created": created}
            (draft / _META).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            try:
                draft.rename(parent / f"v{version}")
                return open_dataset(f"{identifier}/v{version}", home)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                    raise
                version += 1
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def arrow_table(kind: str, columns: Mapping[str, Sequence[Any]]) -> datasets.Dataset:
    """Return rows as Arrow.

    Args:
        kind: A key of `KINDS`.
        columns: Role -> values.
    """
    import datasets
    import pyarrow as pa

    types = {"score": "float64", "label": "int64"}
    features = datasets.Features({role: datasets.Value(types.get(role, "string")) for role in KINDS[kind].roles})
    arrays = [
        pa.chunked_array([pa.array(part, field.type) for part in chunks(columns[field.name])], field.type)
        for field in features.arrow_schema
    ]
    # Without a fingerprint, datasets would pickle all rows to make one, which takes several times their memory.
    return datasets.Dataset(pa.Table.from_arrays(arrays, schema=features.arrow_schema), fingerprint=uuid.uuid4().hex)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "data"
