"""Stored once, split so that no sentence stands on both sides."""

import csv
import errno
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.data import (
    Splits,
    components,
    delete_dataset,
    import_file,
    is_dataset_ref,
    list_datasets,
    open_dataset,
    open_splits,
    preview_split,
)
from workbench.data.splitting import split_rows, text_ids
from workbench.errors import DataError
from workbench.recipe import KINDS, Recipe, TrainingConfig


def write(path: Path, rows: list[tuple], header: tuple[str, ...] = ("sentence1", "sentence2", "score")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def grouped(rows: int, group: int, seed: int = 0, prefix: str = "text") -> list[tuple]:
    """Return rows in which every `group` rows share a sentence."""
    generator = random.Random(seed)
    return [
        (f"{prefix} a {i // group}", f"{prefix} b {i}", 5 if i == 0 else generator.choice([0, 1, 2, 3, 4, 5])) for i in range(rows)
    ]


def texts(part: object, kind: str) -> set[str]:
    return {" ".join(text.casefold().split()) for role in KINDS[kind].texts for text in part[role]}  # type: ignore[index]


def check_no_leak(parts: Splits) -> None:
    held = [part for part in (parts.train, parts.validation, parts.test) if part is not None]
    for index, part in enumerate(held):
        for other in held[index + 1 :]:
            assert not texts(part, parts.kind) & texts(other, parts.kind)


def test_storing_never_pickles_the_rows(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasets' own fingerprint of rows in memory is that of their pickle, several times as large as the texts."""
    monkeypatch.setattr("datasets.arrow_dataset.generate_fingerprint", lambda *_: pytest.fail("pickled"))
    monkeypatch.setattr("workbench.data.texts.CHUNK", 7)
    rows = grouped(40, 2)
    stored = import_file(write(tmp_path / "a.csv", rows), home)
    assert [tuple(row.values()) for row in stored.table()] == [(a, b, score / 5) for a, b, score in rows]


def test_import_is_versioned_and_happens_once(tmp_path: Path, home: Path) -> None:
    path = write(tmp_path / "My pairs (1).csv", grouped(40, 2))
    first = import_file(path, home)
    assert first.ref.startswith("my-pairs-1-") and first.ref.endswith("/v1") and is_dataset_ref(first.ref)
    assert import_file(path, home) == first
    second = import_file(path, home, {"anchor": "sentence1", "positive": "sentence2"})
    assert second.ref == first.ref.replace("/v1", "/v2") and second.kind == "pairs"
    third = import_file(path, home, score_scale=(0, 10))
    assert third.ref.endswith("/v3") and max(third.table()["score"]) == 0.5
    assert open_dataset(first.ref.split("/")[0], home) == third
    assert [stored.ref for stored in list_datasets(home)] == [third.ref, second.ref, first.ref]
    delete_dataset(second.ref, home)
    assert len(list_datasets(home)) == 2
    table = first.table()
    assert table.column_names == ["sentence1", "sentence2", "score"]
    assert min(table["score"]) == 0.0 and max(table["score"]) == 1.0
    assert str(table.features["score"].dtype) == "float64"


@pytest.mark.parametrize("ref", ["../x", "x/v0", "X/v1", "a/b", "", "x/v1/..", "-x"])
def test_what_is_no_reference(ref: str, home: Path) -> None:
    assert not is_dataset_ref(ref)
    with pytest.raises(DataError, match="no data set"):
        open_dataset(ref, home)


def test_a_half_written_version_is_not_there(tmp_path: Path, home: Path) -> None:
    stored = import_file(write(tmp_path / "a.csv", grouped(40, 2)), home)
    (stored.folder / "meta.json").unlink()
    with pytest.raises(DataError, match="no data set"):
        open_dataset(stored.ref, home)
    assert import_file(tmp_path / "a.csv", home).ref.endswith("/v2")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(datasets.Dataset, "save_to_disk", full)
    with pytest.raises(DataError, match="is full; free some space"):
        import_file(write(tmp_path / "a.csv", grouped(40, 2)), home)
    assert list_datasets(home) == []
    assert [item for item in (home / "datasets").rglob("*") if item.is_file()] == []


def test_a_bad_file_is_not_stored(tmp_path: Path, home: Path) -> None:
    with pytest.raises(DataError, match=r"`a.csv`: .*--score-scale"):
        import_file(write(tmp_path / "a.csv", [(f"one {i}", f"two {i}", 1 + i % 5) for i in range(20)]), home)
    assert list_datasets(home) == []


@pytest.mark.parametrize("group", [1, 3, 10])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_parts_share_no_sentence_and_hold_every_row(group: int, seed: int, tmp_path: Path, home: Path) -> None:
    path = write(tmp_path / "a.csv", grouped(400, group))
    parts = open_splits(Recipe("b", str(path), training=TrainingConfig(seed=seed)), home)
    assert parts.method == "components" and not parts.leaking and parts.dropped == 0
    assert parts.validation is not None and parts.test is not None and parts.test_groups is not None
    sizes = len(parts.train), len(parts.validation), len(parts.test)
    assert sum(sizes) == 400 and abs(sizes[1] - 40) < group and abs(sizes[2] - 60) < group
    check_no_leak(parts)
    assert len(parts.test_groups) == sizes[2]
    again = open_splits(Recipe("b", str(path), training=TrainingConfig(seed=seed)), home)
    assert list(again.test["sentence2"]) == list(parts.test["sentence2"])  # type: ignore[index]
    other = open_splits(Recipe("b", str(path), training=TrainingConfig(seed=seed + 10)), home)
    assert list(other.test["sentence2"]) != list(parts.test["sentence2"])  # type: ignore[index]


def test_the_note_says_what_a_random_split_would_have_leaked(tmp_path: Path, home: Path) -> None:
    path = write(tmp_path / "a.csv", grouped(400, 4))
    parts = open_splits(Recipe("b", str(path)), home)
    assert "No sentence is in two parts; an ordinary random split would have leaked" in parts.notes[-1]
    stored = import_file(path, home)
    summary = preview_split(stored.ref, home, TrainingConfig())
    assert (summary.train, summary.validation, summary.test) == (
        len(parts.train),
        len(parts.validation or []),
        len(parts.test or []),
    )
    assert summary.random_leak_share > 0.5 and summary.sentence in parts.notes[-1]


def test_case_and_spaces_do_not_hide_a_shared_sentence() -> None:
    ids = text_ids([["Pay it", "x"], ["y", " pay  IT "]])
    assert ids[0, 0] == ids[1, 1]
    groups = components({"a": ["Pay it", "x", "z"], "b": ["y", " pay  IT ", "w"]}, ["a", "b"])
    assert groups[0] == groups[1] != groups[2]


def test_fractions_of_zero_give_no_part(tmp_path: Path, home: Path) -> None:
    path = write(tmp_path / "a.csv", grouped(40, 2))
    parts = open_splits(Recipe("b", str(path), training=TrainingConfig(validation_fraction=0, test_fraction=0)), home)
    assert parts.validation is None and parts.test is None and parts.test_groups is None and len(parts.train) == 40


def test_a_dozen_rows_still_train(tmp_path: Path, home: Path) -> None:
    parts = open_splits(Recipe("b", str(write(tmp_path / "a.csv", grouped(12, 1)))), home)
    assert (len(parts.train), len(parts.validation or []), len(parts.test or [])) == (9, 1, 2)


def chain(rows: int) -> list[tuple]:
    """Return rows of which each shares a sentence with the next: one component."""
    return [(f"text {i}", f"text {i + 1}", i % 6) for i in range(rows)]


def test_one_component_is_held_out_by_anchor_and_straddling_rows_are_dropped(tmp_path: Path, home: Path) -> None:
    generator = random.Random(0)
    # 120 anchors of 10 rows; one row in ten ends in a text that many share, which joins everything.
    rows = [(f"anchor {i // 10}", f"common {generator.randint(0, 5)}" if i % 10 == 0 else f"own {i}", i % 6) for i in range(1200)]
    parts = open_splits(Recipe("b", str(write(tmp_path / "a.csv", rows))), home)
    assert parts.method == "anchors" and not parts.leaking
    assert 0 < parts.dropped < 200 and len(parts.test or []) >= 50
    assert str(parts.dropped) in " ".join(parts.notes)
    check_no_leak(parts)


def test_where_nothing_helps_a_random_split_is_offered_and_labelled(tmp_path: Path, home: Path) -> None:
    rows = [(f"a {i % 20}", f"b {i // 20}", i % 6) for i in range(400)]  # every first text with every second
    path = write(tmp_path / "a.csv", rows)
    with pytest.raises(DataError, match="--allow-leaking-split"):
        open_splits(Recipe("b", str(path)), home)
    parts = open_splits(Recipe("b", str(path), allow_leaking_split=True), home)
    assert parts.method == "random" and parts.leaking and len(parts.test or []) == 60
    assert "leaks" in parts.notes[-1] and "no verdict" in parts.notes[-1]


def test_given_files_are_kept_apart(tmp_path: Path, home: Path) -> None:
    train = write(tmp_path / "a.csv", grouped(100, 2))
    test = write(tmp_path / "t.csv", [*grouped(60, 1, prefix="other"), ("text a 3", "other c", 1)])
    parts = open_splits(Recipe("b", str(train), test_data=str(test)), home)
    assert len(parts.test or []) == 61 and not parts.leaking
    assert parts.notes[0].startswith("2 rows share a sentence with the test file")
    check_no_leak(parts)
    validation = write(tmp_path / "v.csv", [*grouped(30, 1, prefix="third"), ("other a 5", "third c", 1)])
    both = open_splits(Recipe("b", str(train), test_data=str(test), validation_data=str(validation)), home)
    assert both.method == "given" and len(both.validation or []) == 30 and len(both.train) == 98
    check_no_leak(both)


def test_given_files_of_another_kind(tmp_path: Path, home: Path) -> None:
    train = write(tmp_path / "a.csv", grouped(100, 2))
    test = write(tmp_path / "t.csv", [(f"one {i}", f"two {i}") for i in range(20)], ("anchor", "positive"))
    with pytest.raises(DataError, match="hold pairs, but the training data hold scored_pairs"):
        open_splits(Recipe("b", str(train), test_data=str(test)), home)
    a = write(tmp_path / "n.csv", [(f"one {i}", f"two {i}", "xyz"[i % 3]) for i in range(60)], ("s1", "s2", "label"))
    b = write(tmp_path / "m.csv", [(f"three {i}", f"four {i}", "xyw"[i % 3]) for i in range(60)], ("s1", "s2", "label"))
    with pytest.raises(DataError, match="the classes w, which the training data do not have; those have x, y, z"):
        open_splits(Recipe("b", str(a), test_data=str(b)), home)
    fewer = write(tmp_path / "f.csv", [(f"five {i}", f"six {i}", "xz"[i % 2]) for i in range(20)], ("s1", "s2", "label"))
    parts = open_splits(Recipe("b", str(a), test_data=str(fewer)), home)
    assert sorted(set(parts.test["label"])) == [0, 2]  # type: ignore[index]


@pytest.mark.parametrize("seed", range(5))
def test_random_graphs_never_leak(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ids = text_ids([[str(n) for n in generator.integers(0, 900, 500)] for _ in range(2)])
    split = split_rows(ids, 0.1, 0.15, seed, allow_leaking=True)
    parts = [set(ids[:, rows].ravel().tolist()) for rows in (split.train, split.validation, split.test)]
    if not split.leaking:
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert len(split.train) + len(split.validation) + len(split.test) + split.dropped == 500


def test_the_room_leaves_torch_alone(tmp_path: Path, home: Path) -> None:
    path = write(tmp_path / "a.csv", grouped(40, 2))
    program = (
        "import sys, json; from pathlib import Path; from workbench.data import *; from workbench.data import import_file, preview_split;"
        "from workbench.recipe import TrainingConfig; h = Path(sys.argv[2]);"
        "s = import_file(sys.argv[1], h); preview_split(s.ref, h, TrainingConfig());"
        "print(json.dumps([m for m in ('torch', 'transformers', 'gradio', 'sqlite3') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path), str(home)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
