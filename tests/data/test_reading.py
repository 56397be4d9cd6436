"""Files as people have them: every row is read, and what is left out is said."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.data import inspect_file, load_pairs, read_column
from workbench.errors import DataError

ROWS = [
    (f"please check my router number {i}", f"can you look at router {i}, it is broken", round(i % 11 * 0.5, 1)) for i in range(330)
]


def write_csv(path: Path, delimiter: str = ",", encoding: str = "utf-8", end: str = "\n", rows: slice = slice(None)) -> Path:
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator=end)
        writer.writerow(["sentence1", "sentence2", "score"])
        writer.writerows(ROWS[rows])
    return path


def write_jsonl(path: Path, rows: slice = slice(None)) -> Path:
    lines = [json.dumps({"sentence1": a, "sentence2": b, "score": c}) for a, b, c in ROWS[rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_json(path: Path, rows: slice = slice(None)) -> Path:
    path.write_text(json.dumps([{"sentence1": a, "sentence2": b, "score": c} for a, b, c in ROWS[rows]]), encoding="utf-8")
    return path


READERS: dict[str, Callable[[Path], Path]] = {
    "comma.csv": write_csv,
    "semicolon.csv": lambda path: write_csv(path, ";"),
    "bar.csv": lambda path: write_csv(path, "|"),
    "table.tsv": lambda path: write_csv(path, "\t"),
    "tab.csv": lambda path: write_csv(path, "\t"),
    "bom.csv": lambda path: write_csv(path, encoding="utf-8-sig", end="\r\n"),
    "wide.csv": lambda path: write_csv(path, encoding="utf-16", end="\r\n"),
    "rows.jsonl": write_jsonl,
    "rows.json": write_json,
}


@pytest.mark.parametrize("name", READERS)
def test_the_same_rows_in_any_form_give_the_same_table(name: str, tmp_path: Path) -> None:
    path = READERS[name](tmp_path / name)
    report = inspect_file(path)
    assert (report.rows, report.rows_usable, report.kind, report.usable) == (330, 330, "scored_pairs", True)
    assert report.score_scale == (0.0, 5.0)
    table = load_pairs(path)
    assert list(table["sentence1"]) == [row[0] for row in ROWS]
    assert list(table["score"]) == pytest.approx([row[2] / 5 for row in ROWS])


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def pairs(lines: list[str], header: str = "sentence1,sentence2,label") -> str:
    return "\n".join([header, *lines]) + "\n"


GOOD = [f"first text {i},second text {i},{i % 2}" for i in range(12)]


def kinds(path: Path, **options: object) -> dict[str, int]:
    return {item.kind: item.count for item in inspect_file(path, **options).issues}  # type: ignore[arg-type]


def test_quoted_newlines_commas_and_quotes_stay_in_their_cell(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs([*GOOD, '"two\nlines, a comma and ""quotes""",plain text,1']))
    assert load_pairs(path)["sentence1"][12] == 'two\nlines, a comma and "quotes"'


def test_words_that_mean_nothing_elsewhere_are_texts_here(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs([*GOOD, "NA,null,1", "None,nan,0"]))
    table = load_pairs(path)
    assert list(table["sentence1"])[-2:] == ["NA", "None"]
    assert list(table["sentence2"])[-2:] == ["null", "nan"]


def test_an_old_windows_file_is_read_and_said_to_be_one(tmp_path: Path) -> None:
    rows = "\r\n".join(f"Müßige Frage Nummer {i};Überflüssige Äußerung {i};{i % 5},5" for i in range(20))
    path = write(tmp_path / "a.csv", "Satz1;Satz2;Wert\r\n" + rows + "\r\nA b;C d;0,0\r\n", "cp1252")
    report = inspect_file(path)
    assert report.encoding == "cp1252" and report.delimiter == ";"
    assert report.roles == {"sentence1": "Satz1", "sentence2": "Satz2", "score": "Wert"}
    assert {"encoding", "delimiter", "decimal_comma"} <= {item.kind for item in report.issues}
    assert load_pairs(path)["sentence1"][0] == "Müßige Frage Nummer 0"


def test_rows_with_the_wrong_number_of_cells(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs([*GOOD, "one, two,three,1", "only one"]))
    report = inspect_file(path)
    found = {item.kind: item for item in report.issues}
    assert found["too_many_cells"].rows == (13,) and found["too_few_cells"].rows == (14,)
    assert found["empty_text"].rows == (14,)
    assert (report.rows, report.rows_usable) == (14, 12)
    assert "2 of 14 rows left out" in report.summary


def test_lines_that_are_no_json(tmp_path: Path) -> None:
    good = [json.dumps({"anchor": f"question {i} please", "positive": f"the answer {i}"}) for i in range(10)]
    path = write(tmp_path / "a.jsonl", "\n".join([*good, "{broken", '"text"', json.dumps({"anchor": "a b"})]))
    report = inspect_file(path)
    found = {item.kind: item for item in report.issues}
    assert report.kind == "pairs" and report.rows_usable == 10
    assert found["malformed_line"].rows == (11, 12) and found["empty_text"].rows == (13,)


def test_untidy_headers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs([line + ",," for line in GOOD], " Sentence1 ,sentence 2,LABEL ,,label"))
    report = inspect_file(path)
    assert report.columns == ("Sentence1", "sentence 2", "LABEL", "column4", "label")
    assert report.roles == {"sentence1": "Sentence1", "sentence2": "sentence 2", "label": "LABEL"}
    assert kinds(path)["header_names"] == 3


def test_a_file_without_a_header(tmp_path: Path) -> None:
    lines = [f"this is the first text {i},and this is another {i},{i % 6}.5" for i in range(9)]
    path = write(tmp_path / "a.csv", "\n".join([*lines, "the last first text,the last second one,0.0"]))
    report = inspect_file(path)
    assert report.columns == ("column1", "column2", "column3")
    assert report.rows == 10 and report.kind == "scored_pairs" and "no_header" in kinds(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n \n", "only blank lines"),
        (b"PK\x03\x04rest", "Excel"),
        (b"PAR1rest", "Parquet"),
        (b"a,b\x00c\n", "no text file"),
        (b"\xff\xfea\x00,", "breaks off|one column|no rows"),
        (b"sentence1,sentence2,score\n", "no rows below"),
        (b"text\nhello there you\nhow are you\n", "only one column"),
        (b"text,label\nhello there you,greeting\nhow are you,question\n", "single texts"),
        (b"id,year\n1,1999\n2,2001\n", "none looks like text"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_no_crash(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    report = inspect_file(path)
    assert not report.usable and report.issues[0].severity == "error"
    import re

    assert re.search(message, report.summary), report.summary
    with pytest.raises(DataError):
        load_pairs(path)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        inspect_file(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="is a folder"):
        inspect_file(tmp_path)


def test_one_column_of_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs(GOOD))
    assert read_column(path, "sentence2")[0] == "second text 0"
    with pytest.raises(DataError, match="no column 'text'; it has: sentence1"):
        read_column(path, "text")


def test_an_open_quotation_mark_is_an_error_and_swallows_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs([*GOOD[:5], '"left open,second,1', *GOOD[5:]]))
    report = inspect_file(path)
    assert not report.usable and "opened in line 7 and never closed" in report.summary
    closed_later = write(
        tmp_path / "b.csv", pairs([*GOOD[:5], '"left open,second,1', *GOOD[5:10], 'closed later",second,0', *GOOD[10:]])
    )
    assert kinds(closed_later)["swallowed_rows"] == 1


def test_row_numbers_count_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", pairs([*GOOD[:3], "", ",,", "lonely,,1", *GOOD[3:]]))
    found = {item.kind: item.rows for item in inspect_file(path).issues}
    assert found["empty_text"] == (6,)
    lines = [json.dumps({"anchor": f"question {i} please", "positive": f"the answer {i}"}) for i in range(9)]
    broken = write(tmp_path / "a.jsonl", "\n".join([*lines, "", "{broken", "[1, 2, 3]"]))
    report = inspect_file(broken)
    assert {item.kind: item.rows for item in report.issues}["malformed_line"] == (11, 12)
    assert report.columns == ("anchor", "positive")


def test_rows_that_are_lists(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps([f"a first text {i}", f"a second text {i}", i % 2]) for i in range(10)))
    report = inspect_file(path)
    assert report.kind == "labelled_pairs" and report.columns == ("column1", "column2", "column3")
