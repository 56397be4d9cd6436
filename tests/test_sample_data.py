"""Properties that the sample data must keep.

The checks use the standard library only, so they run before any of the
project's dependencies are installed.
"""

import csv
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from pathlib import Path
from statistics import correlation

import pytest

DATA_DIR: Path = Path(__file__).resolve().parent.parent / "sample_data"
TRAIN: str = "support_pairs.csv"
HELDOUT: str = "support_pairs_heldout.csv"
TRIPLETS: str = "support_triplets.csv"

PAIR_HEADER: list[str] = ["sentence1", "sentence2", "score"]
TRIPLET_HEADER: list[str] = ["anchor", "positive", "negative"]
HEADERS: dict[str, list[str]] = {
    TRAIN: PAIR_HEADER,
    HELDOUT: PAIR_HEADER,
    TRIPLETS: TRIPLET_HEADER,
}
MIN_ROWS: dict[str, int] = {TRAIN: 660, HELDOUT: 450, TRIPLETS: 160}
ALL_FILES: list[str] = list(HEADERS)
SCORED_FILES: list[str] = [TRAIN, HELDOUT]

MIN_ROWS_PER_BAND: int = 50
MAX_FOUR_GRAM_SHARE: float = 0.05
MAX_HELDOUT_GROUP_ROWS: int = 10
MIN_HARD_SHARE: float = 0.12
HISTOGRAM_CORNER: str = "Rows per score"
OVERLAP_CORRELATION: tuple[float, float] = (0.10, 0.45)


def load(name: str) -> list[dict[str, str]]:
    """Read one sample file.

    Args:
        name: File name inside the sample data folder.

    Returns:
        One dictionary per row, keyed by the header.
    """
    with (DATA_DIR / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, strict=True))


def sentences(name: str, row: dict[str, str]) -> list[str]:
    """Return the row's sentences, leaving out the score."""
    return [row[column] for column in HEADERS[name] if column != "score"]


def normalise(sentence: str) -> str:
    """Lowercase, collapse whitespace and strip punctuation at the ends."""
    return re.sub(r"^[\W_]+|[\W_]+$", "", " ".join(sentence.lower().split()))


def words(sentence: str) -> list[str]:
    """Split a sentence into lowercased words without punctuation."""
    return re.sub(r"[^\w\s]", "", sentence.lower()).split()


def word_overlap(first: str, second: str) -> float:
    """Return the shared words' part of all words of two sentences (Jaccard)."""
    left, right = set(words(first)), set(words(second))
    return len(left & right) / len(left | right)


def sentence_set(name: str) -> set[str]:
    """Return every normalised sentence of a file."""
    return {normalise(text) for row in load(name) for text in sentences(name, row)}


def scored_overlaps(name: str) -> list[tuple[float, float]]:
    """Return (score, word overlap) for every row of a scored file."""
    return [(float(row["score"]), word_overlap(row["sentence1"], row["sentence2"])) for row in load(name)]


@pytest.mark.parametrize("name", ALL_FILES)
def test_header_and_encoding(name: str) -> None:
    raw = (DATA_DIR / name).read_bytes()
    assert b"\r" not in raw
    assert not raw.startswith(b"\xef\xbb\xbf")
    text = raw.decode("utf-8")
    assert next(csv.reader(text.splitlines())) == HEADERS[name]


@pytest.mark.parametrize("name", ALL_FILES)
def test_row_count_and_complete_rows(name: str) -> None:
    rows = load(name)
    assert len(rows) >= MIN_ROWS[name]
    for row in rows:
        assert list(row) == HEADERS[name], row
        for value in row.values():
            assert value and value == value.strip(), row


@pytest.mark.parametrize("name", SCORED_FILES)
def test_scores_are_half_steps_from_0_to_5(name: str) -> None:
    allowed = {step / 2 for step in range(11)}
    counts = Counter(float(row["score"]) for row in load(name))
    assert set(counts) == allowed


@pytest.mark.parametrize("name", SCORED_FILES)
def test_each_whole_number_band_is_filled(name: str) -> None:
    """A band holds a whole-number score and the half-step above it."""
    bands = Counter(int(float(row["score"])) for row in load(name))
    for band in range(6):
        assert bands[band] >= MIN_ROWS_PER_BAND, (band, bands)


@pytest.mark.parametrize("name", ALL_FILES)
def test_no_duplicate_rows(name: str) -> None:
    """No pair occurs twice, in either order; for triplets order counts."""
    seen: Counter[tuple[str, ...]] = Counter()
    for row in load(name):
        key = [normalise(text) for text in sentences(name, row)]
        seen[tuple(key if name == TRIPLETS else sorted(key))] += 1
    assert [key for key, count in seen.items() if count > 1] == []


@pytest.mark.parametrize("name", ALL_FILES)
def test_no_self_pairs(name: str) -> None:
    for row in load(name):
        texts = [normalise(text) for text in sentences(name, row)]
        assert all(texts), row
        assert len(set(texts)) == len(texts), row


@pytest.mark.parametrize("name", ALL_FILES)
def test_no_four_word_sequence_is_common(name: str) -> None:
    """Guards against filled-in templates."""
    rows = load(name)
    counts: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        in_row: set[tuple[str, ...]] = set()
        for text in sentences(name, row):
            tokens = words(text)
            in_row.update(tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3))
        counts.update(in_row)
    (gram, count), *_ = counts.most_common(1)
    assert count / len(rows) <= MAX_FOUR_GRAM_SHARE, (" ".join(gram), count)


@pytest.mark.parametrize("other", [TRAIN, TRIPLETS])
def test_heldout_shares_no_sentence(other: str) -> None:
    """Without this the held-out score would not be an honest one."""
    assert sorted(sentence_set(HELDOUT) & sentence_set(other)) == []


def test_heldout_groups_stay_small() -> None:
    """Rows linked by recurring sentences form groups of at most ten rows."""
    parent: dict[str, str] = {}

    def find(text: str) -> str:
        parent.setdefault(text, text)
        while parent[text] != text:
            text = parent[text]
        return text

    pairs = [(normalise(row["sentence1"]), normalise(row["sentence2"])) for row in load(HELDOUT)]
    for first, second in pairs:
        parent[find(first)] = find(second)
    groups = Counter(find(first) for first, _ in pairs)
    assert max(groups.values()) <= MAX_HELDOUT_GROUP_ROWS


@pytest.mark.parametrize("name", SCORED_FILES)
def test_has_hard_near_misses(name: str) -> None:
    """Enough rows look similar (overlap 0.3 or more) but score 0.5 to 2."""
    overlaps = scored_overlaps(name)
    hard = [1 for score, overlap in overlaps if 0.5 <= score <= 2 and overlap >= 0.3]
    assert len(hard) / len(overlaps) >= MIN_HARD_SHARE


@pytest.mark.parametrize("name", SCORED_FILES)
def test_has_hard_matches(name: str) -> None:
    """Enough rows share hardly a word (0.15 or less) but score 4 to 5."""
    overlaps = scored_overlaps(name)
    hard = [1 for score, overlap in overlaps if score >= 4 and overlap <= 0.15]
    assert len(hard) / len(overlaps) >= MIN_HARD_SHARE


def mid_ranks(values: list[float]) -> list[float]:
    """Rank values from 1 up; equal values share the middle of their ranks."""
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + bisect_right(ordered, value) + 1) / 2 for value in values]


def spearman(first: list[float], second: list[float]) -> float:
    """Return Spearman's rank correlation with mid-ranks for ties."""
    return correlation(mid_ranks(first), mid_ranks(second))


def test_spearman_handles_ties() -> None:
    assert mid_ranks([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]
    assert spearman([1.0, 2.0, 3.0], [10.0, 20.0, 15.0]) == pytest.approx(0.5)
    assert spearman([1.0, 2.0, 2.0, 3.0], [4.0, 3.0, 3.0, 1.0]) == pytest.approx(-1.0)
    assert spearman([1.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 3.0]) == pytest.approx(8 / 9)


@pytest.mark.parametrize("name", SCORED_FILES)
def test_word_overlap_goes_with_the_score(name: str) -> None:
    """Shared words help, as in people's own pairs, but do not decide."""
    scores, overlaps = zip(*scored_overlaps(name), strict=True)
    low, high = OVERLAP_CORRELATION
    assert low <= spearman(list(scores), list(overlaps)) <= high


def readme_table(first_header: str) -> list[list[str]]:
    """Return a README table's cells, found by its first column's header.

    Args:
        first_header: Text of the header's first cell.

    Returns:
        The header and the body rows, each as a list of stripped cells.
    """
    lines = (DATA_DIR / "README.md").read_text(encoding="utf-8").splitlines()
    tables: list[list[list[str]]] = [[]]
    for line in lines:
        if line.startswith("|"):
            tables[-1].append([cell.strip(" `") for cell in line.strip("|").split("|")])
        elif tables[-1]:
            tables.append([])
    table = next(table for table in tables if table and table[0][0] == first_header)
    return [table[0], *table[2:]]


def test_readme_row_counts() -> None:
    header, *body = readme_table("File")
    column = header.index("Rows")
    assert {row[0]: int(row[column]) for row in body} == {name: len(load(name)) for name in ALL_FILES}


def test_readme_histogram() -> None:
    """The table of rows per score agrees with the files."""
    header, *body = readme_table(HISTOGRAM_CORNER)
    scores = [float(cell) for cell in header[1:-1]]
    assert header[-1] == "Rows"
    assert [row[0] for row in body] == SCORED_FILES
    for name, *cells in body:
        counts = Counter(float(row["score"]) for row in load(name))
        expected = [counts[score] for score in scores] + [counts.total()]
        assert [int(cell) for cell in cells] == expected, name
        assert set(counts) == set(scores), name
