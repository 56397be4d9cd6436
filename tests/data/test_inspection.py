"""Roles, kinds and scales guessed; slips of the pen found and told."""

from pathlib import Path

import numpy as np
import pytest

from workbench.data import inspect_file
from workbench.data.cleaning import _contradictions
from workbench.data.values import find_scale, parse_number
from workbench.errors import DataError
from workbench.recipe import KINDS


def write(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def pairs(header: str, values: list[object], path: Path) -> Path:
    return write(path, header, [f"the first text {i},another second text {i},{value}" for i, value in enumerate(values)])


@pytest.mark.parametrize(
    ("header", "values", "kind"),
    [
        ("sentence1,sentence2,score", [0, 2.5, 5, 1] * 3, "scored_pairs"),
        ("text_a,text_b,similarity", [0.1, 0.9, 0.4] * 4, "scored_pairs"),
        ("question1,question2,is_duplicate", [0, 1] * 5, "labelled_pairs"),
        ("s1,s2,score", [0, 1] * 5, "labelled_pairs"),
        ("s1,s2,label", ["yes", "no"] * 5, "labelled_pairs"),
        ("premise,hypothesis,gold_label", ["entailment", "neutral", "contradiction"] * 4, "class_pairs"),
        ("s1,s2,label", [0, 1, 2] * 4, "class_pairs"),
        ("Satz 1,Satz 2,Bewertung", [0, 3, 5, 4.5] * 3, "scored_pairs"),
        ("left text,right text,how close", [0, 0.5, 1.0] * 4, "scored_pairs"),
        ("query,passage,genre", ["news"] * 9, "pairs"),
        ("Frage,Antwort,id", list(range(1, 12)), "pairs"),
        ("anchor,positive,negative", [f"a wrong one {i}" for i in range(9)], "triplets"),
    ],
)
def test_roles_and_kind_are_guessed(header: str, values: list[object], kind: str, tmp_path: Path) -> None:
    report = inspect_file(pairs(header, values, tmp_path / "a.csv"))
    assert report.kind == kind, report.summary
    assert tuple(report.roles) == KINDS[kind].roles
    assert report.usable and report.rows == report.rows_usable == len(values)


def test_roles_given_by_the_user_win(tmp_path: Path) -> None:
    path = pairs("sentence1,sentence2,score", [0, 1, 2, 3, 4, 5, 0, 1], tmp_path / "a.csv")
    report = inspect_file(path, {"anchor": "sentence2", "positive": "sentence1"})
    assert report.kind == "pairs" and report.roles == {"anchor": "sentence2", "positive": "sentence1"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sentenz1": "sentence1"}, "no role 'sentenz1'"),
        ({"sentence1": "nothing"}, "no column 'nothing'"),
        ({"sentence1": "sentence1", "score": "score"}, "make no data set"),
        ({"sentence1": "sentence1", "sentence2": "sentence1", "score": "score"}, "plays two roles"),
        ({"sentence1": "sentence1", "sentence2": "sentence2", "score": "word"}, "a score is a number.*label=word"),
    ],
)
def test_roles_that_cannot_be(columns: dict[str, str], message: str, tmp_path: Path) -> None:
    lines = [f"the first text {i},another second {i},{i % 6},good" for i in range(12)]
    report = inspect_file(write(tmp_path / "a.csv", "sentence1,sentence2,score,word", lines), columns)
    assert not report.usable
    import re

    assert re.search(message, report.summary)


@pytest.mark.parametrize(
    ("lowest", "highest", "scale"),
    [
        (0, 1, (0, 1)),
        (0.2, 0.9, (0, 1)),
        (-1, 1, (-1, 1)),
        (0, 5, (0, 5)),
        (0.5, 4.8, (0, 5)),
        (0, 5.5, (0, 10)),
        (0, 4, None),
        (0, 3, None),
        (0, 10, (0, 10)),
        (3, 88, (0, 100)),
        (1, 5, None),
        (2, 4.6, None),
        (1, 10, None),
        (0, 3.5, None),
        (-3, 3, None),
        (0, 1000, None),
    ],
)
def test_scales_seen_and_asked_for(lowest: float, highest: float, scale: tuple[float, float] | None) -> None:
    found, possible = find_scale(lowest, highest)
    assert found == scale
    assert (possible == "") or found is None


def test_a_scale_that_cannot_be_told_is_asked_and_taken(tmp_path: Path) -> None:
    path = pairs("s1,s2,score", [1, 2, 3, 4, 5] * 3, tmp_path / "a.csv")
    report = inspect_file(path)
    assert not report.usable and report.issues[0].kind == "score_scale_unknown"
    assert "1-5 or 0-5" in report.summary and "--score-scale" in report.summary
    settled = inspect_file(path, score_scale=(1, 5))
    assert settled.usable and settled.score_scale == (1, 5)
    outside = inspect_file(path, score_scale=(1, 4))
    assert {item.kind: item.count for item in outside.issues}["score_out_of_range"] == 3 and outside.rows_usable == 12


def test_many_scores_beyond_the_usual_scale_are_asked_about(tmp_path: Path) -> None:
    report = inspect_file(pairs("s1,s2,score", [0, 1, 2, 3, 4, 5] * 8 + [77, 77], tmp_path / "a.csv"))
    assert not report.usable and "Most scores lie between 0 and 5, but 2 of 50" in report.summary
    slip = inspect_file(pairs("s1,s2,score", [0, 1, 2, 3, 4, 5] * 30 + [77], tmp_path / "b.csv"))
    assert slip.usable and slip.score_scale == (0, 5)
    assert {item.kind: item.rows for item in slip.issues}["score_out_of_range"] == (181,)


def test_slips_of_the_pen(tmp_path: Path) -> None:
    lines = [f"the first text {i},another second text {i},{i % 6}" for i in range(12)]
    extra = [
        "the first text 1,another second text 1,1",  # repeats row 2
        "another second text 2,the first text 2,5",  # row 3 the other way round, with another value
        "the same text,the same text,2",
        ",nothing before,3",
        "a text,another,",
        "a text here,another there,high",
        "a text here,another where,9",
        "THE FIRST TEXT 4,another second text 4.,4",
        "x" * 6000 + ",long one,4",
    ]
    report = inspect_file(write(tmp_path / "a.csv", "sentence1,sentence2,score", [*lines, *extra]), score_scale=(0, 5))
    rows = {item.kind: item.rows for item in report.issues}
    assert rows["duplicate_row"] == (13,)
    assert rows["contradiction"] == (3, 14)
    assert rows["self_pair"] == (15,)
    assert rows["empty_text"] == (16,)
    assert rows["missing_score"] == (17,)
    assert rows["unreadable_score"] == (18,)
    assert rows["score_out_of_range"] == (19,)
    assert rows["near_duplicate"] == (20,)
    assert rows["long_text"] == (21,)
    assert report.usable and report.rows_usable == 16
    assert [item.severity for item in report.issues] == sorted(
        (item.severity for item in report.issues), key=["error", "warning", "note"].index
    )


def test_classes_in_other_letter_case_are_one(tmp_path: Path) -> None:
    report = inspect_file(pairs("s1,s2,label", ["Entails", "entails", "entails", "neutral", "contradicts"] * 3, tmp_path / "a.csv"))
    assert report.classes == ("contradicts", "entails", "neutral")


def test_contradictions_come_in_the_order_they_are_met() -> None:
    generator = np.random.default_rng(0)
    first, second = ([f"{word} {n}" for n in generator.integers(0, 12, 300)] for word in ("text", "Text"))
    values = (generator.integers(0, 3, 300) / 2).tolist()
    seen: dict[frozenset[str], int] = {}
    met: dict[int, None] = {}
    for place, pair in enumerate(zip(first, second, strict=True)):
        earlier = seen.setdefault(frozenset(text.casefold() for text in pair), place)  # either way round
        if values[earlier] != values[place]:
            met |= {earlier: None, place: None}
    assert _contradictions(first, second, values) == list(met) and len(met) > 100


def test_the_same_pair_in_other_letter_case_contradicts(tmp_path: Path) -> None:
    lines = [f"the first text {i},another second text {i},{i % 6}" for i in range(12)]
    path = write(tmp_path / "a.csv", "s1,s2,score", [*lines, "THE first text 5,another  second text 5,0"])
    assert {item.kind: item.rows for item in inspect_file(path).issues}["contradiction"] == (6, 13)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1] * 9, "one_label"), ([0] * 9, "one_label"), ([3.5] * 9, "one_score"), ([0, 1, 1], "too_few_rows")],
)
def test_nothing_to_learn_from(values: list[object], kind: str, tmp_path: Path) -> None:
    report = inspect_file(pairs("s1,s2,score", values, tmp_path / "a.csv"), score_scale=(0, 5) if kind == "one_score" else None)
    assert not report.usable and report.issues[0].kind == kind


def test_numbers_as_people_write_them() -> None:
    assert [parse_number(text) for text in ("4.4", "4,4", " 5 ", "-1", "1e-1", "4.4.1", "1,234,567", "", "nan", "inf", "high")] == [
        4.4,
        4.4,
        5.0,
        -1.0,
        0.1,
        *[None] * 6,
    ]


def test_the_report_is_what_the_command_prints(tmp_path: Path) -> None:
    data = inspect_file(pairs("s1,s2,score", [0, 1, 5] * 4, tmp_path / "a.csv")).to_dict()
    assert set(data) >= {"rows", "columns", "roles", "kind", "encoding", "delimiter", "issues", "usable"}
    assert all(set(item) == {"kind", "severity", "count", "rows", "message"} for item in data["issues"])


def test_loading_pairs_of_a_bad_file_says_why(tmp_path: Path) -> None:
    from workbench.data import load_pairs

    with pytest.raises(DataError, match="1-5 or 0-5"):
        load_pairs(pairs("s1,s2,score", [1, 2, 5] * 4, tmp_path / "a.csv"))
