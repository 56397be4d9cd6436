"""Whatever is in a file, it is read or refused in one sentence, and what the check calls usable can be stored."""

import random
from pathlib import Path

import pytest

from tests.data.test_reading import write_csv, write_json, write_jsonl
from tests.fuzzing import broken_bytes, broken_json, is_one_sentence
from workbench.data import import_file, inspect_file, read_column, read_lines
from workbench.errors import ConfigError, DataError


def forms(folder: Path) -> dict[str, bytes]:
    """Return small good files of every form, by name."""
    short = slice(0, 24)
    found = {}
    for name, write in {
        "a.csv": write_csv,
        "b.csv": lambda path, rows: write_csv(path, ";", "cp1252", "\r\n", rows),
        "c.tsv": lambda path, rows: write_csv(path, "\t", rows=rows),
        "d.csv": lambda path, rows: write_csv(path, encoding="utf-16", rows=rows),
        "e.jsonl": write_jsonl,
        "f.json": write_json,
    }.items():
        found[name] = write(folder / name, rows=short).read_bytes()
    found["g.csv"] = b"anchor,positive\n" + b"".join(b"question %d of many,the answer to %d\n" % (i, i) for i in range(20))
    found["h.csv"] = b"sentence1,sentence2,label\n" + b"".join(
        b"text %d here,other %d there,%d\n" % (i, i, i % 2) for i in range(20)
    )
    return found


def look(seed: int, good: dict[str, bytes], folder: Path, home: Path) -> str:
    """Break a file and take it through every door that files have; return how it ended."""
    draw = random.Random(seed)
    name = draw.choice(sorted(good))
    data = good[name]
    path = folder / f"{seed}-{name}"
    path.write_bytes(broken_json(draw, data.decode()) if name == "f.json" and draw.random() < 0.6 else broken_bytes(draw, data))
    scale = draw.choice((None, None, (0.0, 5.0)))
    columns = draw.choice((None, None, {"sentence1": "sentence1", "sentence2": "sentence2"}))
    for read in (read_lines, lambda file: read_column(file, "sentence1")):
        try:
            "\n".join(read(path)).encode()
        except DataError as error:
            assert is_one_sentence(str(error)), error
    report = inspect_file(path, columns, scale)
    assert is_one_sentence(report.summary), report.summary
    assert all(is_one_sentence(item.message) for item in report.issues)
    try:
        stored = import_file(path, home, columns, scale)
    except DataError as error:
        assert not report.usable, error
        assert is_one_sentence(str(error)), error
        return "refused"
    finally:
        path.unlink()
    assert report.usable and stored.rows == report.rows_usable > 0
    "".join(stored.table()[next(iter(stored.roles))][:]).encode()
    return "stored"


@pytest.mark.parametrize(("first", "count"), [(0, 250), pytest.param(1_000, 10_000, marks=pytest.mark.slow)], ids=["some", "many"])
def test_broken_files(first: int, count: int, tmp_path: Path, home: Path) -> None:
    (tmp_path / "good").mkdir()
    good, ends = forms(tmp_path / "good"), []
    for seed in range(first, first + count):
        try:
            ends.append(look(seed, good, tmp_path, home))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    # Broken enough to be refused often, and whole enough to be read often.
    assert min(ends.count("stored"), ends.count("refused")) > count // 10


@pytest.mark.parametrize("scale", [(0.0, 0.0), (5.0, 1.0), (float("nan"), 1.0), (0.0, float("inf")), (-1e308, 1e308)])
def test_a_scale_without_width_is_refused(scale: tuple[float, float], tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv")
    with pytest.raises(ConfigError, match=r"A score scale must go from a number to a larger one, e\.g\. 1-5, got"):
        inspect_file(path, score_scale=scale)


def test_half_a_character_is_read_as_a_mark_and_said(tmp_path: Path, home: Path) -> None:
    rows = [f'{{"anchor": "question {i} \\ud83d", "positive": "answer {i}"}}' for i in range(9)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([*rows, '{"anchor": "fine \\ud83d\\ude00", "positive": "good"}']), encoding="utf-8")
    (found,) = [item for item in inspect_file(path).issues if item.kind == "half_character"]
    assert found.count == 9 and found.severity == "warning"
    texts = import_file(path, home).table()["anchor"][:]
    assert texts[0] == "question 0 \ufffd" and texts[9] == "fine \U0001f600"


def test_json_that_is_nested_too_deeply_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    report = inspect_file(path)
    assert not report.usable and "nested too deeply" in report.summary
    path = tmp_path / "a.jsonl"
    good = [f'{{"anchor": "question {i} please", "positive": "answer {i}"}}' for i in range(10)]
    path.write_text("\n".join([*good, "[" * 100_000]), encoding="utf-8")
    assert {item.kind: item.rows for item in inspect_file(path).issues}["malformed_line"] == (11,)


def test_long_names_and_cells_are_cut_in_sentences(tmp_path: Path) -> None:
    names = [f"column of a very long name {i} " + "x" * 200 for i in range(60)]
    path = tmp_path / "a.csv"
    path.write_text(",".join(["anchor", "positive", *names]) + "\n" + "".join(f"question {i},answer {i}\n" for i in range(10)))
    report = inspect_file(path)
    ignored = next(item for item in report.issues if item.kind == "ignored_columns")
    assert "and 48 more" in ignored.message and len(ignored.message) < 1500
