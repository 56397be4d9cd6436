"""Properties that the sample data must keep.

The checks use the standard library only, so they run before any of the
project's dependencies are installed.
"""

import csv
import re
from collections import Counter
from pathlib import Path

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
MIN_ROWS: dict[str, int] = {TRAIN: 660, HELDOUT: 420, TRIPLETS: 160}
ALL_FILES: list[str] = list(HEADERS)
SCORED_FILES: list[str] = [TRAIN, HELDOUT]

MIN_ROWS_PER_BAND: int = 50
MAX_FOUR_GRAM_SHARE: float = 0.05
MAX_HELDOUT_GROUP_ROWS: int = 10
MIN_HARD_SHARE: float = 0.25


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


def test_heldout_has_hard_near_misses() -> None:
    """A quarter of the rows look alike (overlap 0.3 or more), score 0.5 to 2."""
    overlaps = scored_overlaps(HELDOUT)
    hard = [1 for score, overlap in overlaps if 0.5 <= score <= 2 and overlap >= 0.3]
    assert len(hard) / len(overlaps) >= MIN_HARD_SHARE


def test_heldout_has_hard_matches() -> None:
    """A quarter of the rows share hardly a word (0.15 or less), score 4 to 5."""
    overlaps = scored_overlaps(HELDOUT)
    hard = [1 for score, overlap in overlaps if score >= 4 and overlap <= 0.15]
    assert len(hard) / len(overlaps) >= MIN_HARD_SHARE
