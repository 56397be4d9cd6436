"""Columns are read a chunk at a time, and texts are numbered as a dict of all of them would."""

from collections.abc import Sequence

import datasets
import numpy as np
import pytest

from workbench.data import texts as module
from workbench.data.splitting import components, rows_that_share, split_rows, text_ids
from workbench.data.texts import TextsOf, chunks, digest_texts, number_digests, read_numbers


class OnDisk:
    """A column that refuses to be gone through or read whole."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self.reads = 0

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> None:
        raise AssertionError("gone through row by row")

    def __getitem__(self, rows: slice) -> Sequence[str]:
        assert isinstance(rows, slice) and rows.stop - rows.start <= module.CHUNK < len(self._texts), "read whole"
        self.reads += 1
        return self._texts[rows]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Two columns of many repeats in all spellings, many chunks long."""
    monkeypatch.setattr(module, "CHUNK", 7)
    generator = np.random.default_rng(3)
    return [
        [
            ("Text {}  ä" if spelling else "text {} Ä").format(number)
            for number, spelling in generator.integers(0, (90, 2), (120, 2))
        ]
        for _ in range(2)
    ]


def plain_ids(columns: list[list[str]]) -> np.ndarray:
    """The numbering as a dict of all texts gives it."""
    number: dict[str, int] = {}
    return np.array([[number.setdefault(" ".join(text.casefold().split()), len(number)) for text in column] for column in columns])


def test_texts_get_the_numbers_that_a_dict_would_give(columns: list[list[str]]) -> None:
    assert text_ids(columns).tolist() == plain_ids(columns).tolist()
    numbers, first = number_digests(digest_texts(columns))
    joined = [text for column in columns for text in column]
    assert [joined[place] for place in first] == list(dict.fromkeys(joined))
    assert [joined[first[number]] for number in numbers] == joined


def test_splitting_reads_no_column_whole(columns: list[list[str]]) -> None:
    on_disk = [OnDisk(column) for column in columns]
    assert text_ids(on_disk).tolist() == plain_ids(columns).tolist()
    assert (
        components({"a": on_disk[0], "b": on_disk[1]}, ["a", "b"]).tolist()
        == components({"a": columns[0], "b": columns[1]}, ["a", "b"]).tolist()
    )
    others = [column[:9] for column in columns]
    assert rows_that_share(on_disk, others).tolist() == rows_that_share(columns, others).tolist()
    assert list(TextsOf(on_disk)) == [text for column in columns for text in column]
    assert on_disk[0].reads > 30


def test_the_split_is_the_one_it_was() -> None:
    """The split is a promise: rows written down from the version that numbered texts with a dict."""
    generator = np.random.default_rng(11)
    columns = [[f"Text {number}" for number in generator.integers(0, 400, 300)] for _ in range(2)]
    split = split_rows(text_ids(columns), 0.1, 0.1, 5, allow_leaking=True)
    assert split.method == "components" and split.dropped == 0 and len(split.train) == 247
    assert split.validation.tolist()[:12] == [6, 19, 46, 82, 94, 95, 102, 114, 119, 126, 142, 145]
    assert split.test.tolist()[:12] == [24, 56, 65, 87, 96, 105, 108, 130, 139, 143, 148, 152]


def test_a_lone_surrogate_is_a_text() -> None:
    assert len(set(digest_texts([["\ud800", "\ud801", "a"]])[:, 0].tolist())) == 3


def test_no_rows() -> None:
    assert text_ids([[], []]).shape == (2, 0)
    assert list(chunks([])) == []


def test_numbers_keep_all_their_digits() -> None:
    table = datasets.Dataset.from_dict({"score": [0.1, 0.2, 1 / 3], "label": [2, 0, 1]}).select([2, 0])
    assert read_numbers(table, "score").tolist() == [1 / 3, 0.1]
    assert read_numbers(table, "label").dtype == np.int64
    assert read_numbers(table.select([]), "score").shape == (0,)


def test_numbers_are_read_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    table = datasets.Dataset.from_dict({"label": list(range(50))}).select(range(49, -1, -2))
    plain = datasets.Dataset.__getitem__
    sizes = []

    def noted(rows: datasets.Dataset, key: slice) -> object:
        sizes.append(len(range(len(rows))[key]))
        return plain(rows, key)

    monkeypatch.setattr(datasets.Dataset, "__getitem__", noted)
    assert read_numbers(table, "label").tolist() == list(range(49, -1, -2))
    assert max(sizes) == 7
