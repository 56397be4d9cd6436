"""Pairs of inference are offered as triplets, and taken as classes where someone says so."""

from pathlib import Path

import pytest

from workbench.data import import_file, inspect_file, load_pairs

WORDS = ("entailment", "neutral", "contradiction")


def write(path: Path, premises: int = 12, words: tuple[str, ...] = WORDS) -> Path:
    rows = [f"premise number {p} here,the {word} of {p} is this,{word}" for p in range(premises) for word in words]
    path.write_text("\n".join(["premise,hypothesis,gold_label", *rows]) + "\n", encoding="utf-8")
    return path


def test_triplets_are_made_of_what_follows_and_what_contradicts(tmp_path: Path, home: Path) -> None:
    path = write(tmp_path / "nli.csv")
    report = inspect_file(path)
    assert (report.kind, report.rows, report.rows_usable) == ("triplets", 12, 12)
    assert dict(report.roles) == {"anchor": "premise", "positive": "hypothesis", "label": "gold_label"}
    (note,) = [item for item in report.issues if item.kind == "triplets_made"]
    assert note.message.startswith("12 triplets were made of 24 rows of 36")
    assert "sentence1=premise,sentence2=hypothesis,label=gold_label" in note.message
    stored = import_file(path, home)
    assert stored.table()[3] == {
        "anchor": "premise number 3 here",
        "positive": "the entailment of 3 is this",
        "negative": "the contradiction of 3 is this",
    }
    assert import_file(path, home).ref == stored.ref


def test_the_way_to_classes_that_the_note_names(tmp_path: Path, home: Path) -> None:
    path = write(tmp_path / "nli.csv")
    columns = {"sentence1": "premise", "sentence2": "hypothesis", "label": "gold_label"}
    stored = import_file(path, home, columns)
    assert (stored.kind, stored.rows, stored.classes) == ("class_pairs", 36, ("contradiction", "entailment", "neutral"))
    assert import_file(path, home).ref != stored.ref


def test_more_of_one_kind_than_of_the_other(tmp_path: Path) -> None:
    path = write(tmp_path / "nli.csv", words=("entails", "contradiction", "Contradicts", "contradicted"))
    table = load_pairs(path)
    assert len(table) == 36 and len(set(table["negative"])) == 36 and len(set(table["positive"])) == 12


@pytest.mark.parametrize("words", [("entailment", "neutral"), ("1", "2", "3"), ("entailment", "not_entailment")])
def test_other_classes_stay_classes(words: tuple[str, ...], tmp_path: Path) -> None:
    assert inspect_file(write(tmp_path / "a.csv", words=words)).kind in {"class_pairs", "labelled_pairs"}


def test_too_few_triplets_stay_classes_and_asked_for_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", premises=7)
    assert inspect_file(path).kind == "class_pairs"
    columns = {"anchor": "premise", "positive": "hypothesis", "label": "gold_label"}
    assert "Only 7 rows can be used" in inspect_file(path, columns).summary
    report = inspect_file(write(tmp_path / "b.csv", words=("neutral", "entailment")), columns)
    assert not report.usable and "has both a row that follows from it and one that contradicts it" in report.summary
