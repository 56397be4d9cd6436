"""What is said of a data set's texts before a run is queued."""

import csv

import pytest

from workbench.data import import_file
from workbench.data.texts import spread_texts
from workbench.recipe import ArchitectureSpec, LayerSpec, Recipe
from workbench.runs import read_columns, read_dataset, submit

KOREAN = [
    "무선 네트워크 비밀번호를 어떻게 바꾸나요",
    "기사님이 오지 않았어요",
    "요금이 너무 많이 나왔습니다",
    "계약을 해지하고 싶어요",
]


@pytest.fixture
def korean(tmp_path):
    path = tmp_path / "korean.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sentence1", "sentence2", "score"])
        for row in range(40):
            writer.writerow([f"{KOREAN[row % 4]} {row}", f"{KOREAN[(row + 1) % 4]} {row}", row % 6])
    return path


def test_texts_are_taken_from_the_first_row_to_the_last():
    columns = [[f"a{row}" for row in range(1000)], [f"b{row}" for row in range(1000)]]
    found = spread_texts(columns, 40)
    assert len(found) == 40 and found[:2] == ["a0", "a50"] and found[-1] == "b950"
    assert spread_texts(columns[:1], 5000) == columns[0] and spread_texts([], 5) == []


def test_a_stored_data_set_is_read_with_the_limit_of_the_recipe(home, korean, tiny_bert):
    stored = import_file(korean, home)
    architecture = ArchitectureSpec((LayerSpec("transformer", {"max_seq_length": 4}), LayerSpec("pooling")))
    reading = read_dataset(Recipe("mini", stored.ref, architecture=architecture), home)
    assert [kind for kind, _ in reading.findings()] == ["cut", "unknown", "foreign"]
    assert "80 of 80 texts are cut off after the 4 tokens that `mini` reads" in reading.findings()[0][1]
    assert "Raise `max_seq_length` (at most 256)" in reading.findings()[0][1]
    data = reading.to_dict()
    assert data["base"] == "mini" and data["of_texts"] == data["texts"] == 80 and data["foreign_texts"] == 80
    assert [item["kind"] for item in data["findings"]] == ["cut", "unknown", "foreign"]
    assert read_dataset(Recipe("mini", "nothing/v1"), home) is None
    assert read_columns("someone/not-here", [KOREAN], home) is None and read_columns("20200101-000000-aaaa", [KOREAN], home) is None


def test_it_is_known_before_the_run_is_queued(home, korean):
    from workbench.runs import list_runs

    seen = []

    def before(recipe):
        seen.append((read_dataset(recipe, home).counts.foreign_share, len(list_runs(home))))

    submit(Recipe("mini", str(korean)), home, start=False, before=before)
    assert seen == [(1.0, 0)] and len(list_runs(home)) == 1
