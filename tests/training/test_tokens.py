"""Texts are tokenised a chunk at a time, once, and the next run finds the tokens where the first one left them."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from workbench.data import texts as texts_module
from workbench.errors import RunError
from workbench.models import SentenceTransformer
from workbench.training import token_cache
from workbench.training.token_cache import TOKENS_FOLDER, TokenCache
from workbench.training.tokens import Tokens

CHUNK = 8


class OnDisk:
    """A column that refuses to be gone through or read whole."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> None:
        raise AssertionError("gone through row by row")

    def __getitem__(self, rows: slice) -> Sequence[str]:
        assert isinstance(rows, slice) and rows.stop - rows.start <= CHUNK, "read whole"
        return self._texts[rows]


@pytest.fixture
def model(tiny_bert: Path) -> SentenceTransformer:
    return SentenceTransformer(tiny_bert, device="cpu")


@pytest.fixture
def columns(sentences: list[str], monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Two columns of several chunks, with texts that come often, and some in capitals: the same tokens."""
    monkeypatch.setattr(texts_module, "CHUNK", CHUNK)
    generator = np.random.default_rng(0)
    return [
        [sentences[number].upper() if capital else sentences[number] for number, capital in generator.integers(0, (40, 2), (60, 2))]
        for _ in range(2)
    ]


def pieces(tokens: Tokens) -> list[list[list[int]]]:
    """Return the tokens of every text."""
    return [[tokens.ids(int(sequence)) for sequence in column] for column in tokens.columns]


def folder_of(home: Path) -> Path:
    (folder,) = (home / TOKENS_FOLDER).iterdir()
    return folder


def test_every_text_has_the_word_pieces_of_the_tokenizer(model: SentenceTransformer, columns: list[list[str]]) -> None:
    tokens = Tokens(model, [OnDisk(column) for column in columns])
    assert pieces(tokens) == [model.tokenize(column) for column in columns]
    assert tokens.lengths[tokens.columns].tolist() == [[len(ids) for ids in column] for column in pieces(tokens)]
    # Numbered as they come, one number for texts that give the same tokens.
    distinct = list(dict.fromkeys(tuple(ids) for column in pieces(tokens) for ids in column))
    assert [tuple(tokens.ids(sequence)) for sequence in range(len(tokens.lengths))] == distinct
    assert len(distinct) < len({text for column in columns for text in column})


def test_the_next_run_takes_what_is_there(
    model: SentenceTransformer, columns: list[list[str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Tokens(model, columns, TokenCache(home))
    assert not first.cached
    monkeypatch.setattr(type(model.encoder), "tokenize", lambda *_: pytest.fail("tokenised again"))
    second = Tokens(model, [OnDisk(column) for column in columns], TokenCache(home))
    assert second.cached
    assert pieces(second) == pieces(first) and second.truncated == first.truncated
    assert second.lengths.tolist() == first.lengths.tolist()
    assert not second.columns.flags.writeable, "it is the file"


@pytest.mark.parametrize("change", ["text", "order", "length", "case", "tokenizer"])
def test_anything_else_is_tokenised_anew(change: str, model: SentenceTransformer, columns: list[list[str]], home: Path) -> None:
    Tokens(model, columns, TokenCache(home))
    if change == "text":
        columns[1][-1] += " more"
    elif change == "order":
        columns.reverse()
    elif change == "length":
        model.encoder.max_seq_length = 7
    elif change == "case":
        model.encoder.do_lower_case = True
    else:
        model.tokenizer.add_tokens(["router"])
    tokens = Tokens(model, columns, TokenCache(home))
    assert not tokens.cached
    assert pieces(tokens) == [model.tokenize(column) for column in columns]


def test_what_a_call_of_the_tokenizer_leaves_behind_is_no_other_tokenizer(
    model: SentenceTransformer, columns: list[list[str]], home: Path
) -> None:
    Tokens(model, columns, TokenCache(home))
    model.tokenizer(["pay it"], padding="max_length", truncation=True, max_length=5)
    assert Tokens(model, columns, TokenCache(home)).cached


@pytest.mark.parametrize("name", ["pieces.bin", "columns.bin", "lengths.bin", "starts.bin", "truncated.bin", "meta.json"])
@pytest.mark.parametrize("damage", ["missing", "short", "changed"])
def test_a_damaged_cache_is_made_again(
    name: str, damage: str, model: SentenceTransformer, columns: list[list[str]], home: Path
) -> None:
    sound = pieces(Tokens(model, columns, TokenCache(home)))
    path = folder_of(home) / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-5] if damage == "short" else bytes([content[0] ^ 1]) + content[1:])
    again = Tokens(model, columns, TokenCache(home))
    assert not again.cached and pieces(again) == sound
    assert path.read_bytes() == content
    assert Tokens(model, columns, TokenCache(home)).cached


def test_a_run_that_is_cut_off_leaves_nothing_that_looks_whole(
    model: SentenceTransformer, columns: list[list[str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = type(model.encoder).tokenize
    calls = []

    def breaks_off(encoder: object, texts: Sequence[str]) -> list[list[int]]:
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(encoder, texts)  # type: ignore[arg-type]

    monkeypatch.setattr(type(model.encoder), "tokenize", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        Tokens(model, columns, TokenCache(home))
    assert list((home / TOKENS_FOLDER).iterdir()) == []


def test_what_was_used_longest_ago_goes(model: SentenceTransformer, columns: list[list[str]], home: Path) -> None:
    sets = [[[f"{text} {number}" for text in column] for column in columns] for number in range(3)]
    for number, given in enumerate(sets[:2]):
        Tokens(model, given, TokenCache(home))
        (new,) = [folder for folder in (home / TOKENS_FOLDER).iterdir() if folder.stat().st_mtime > 1000]
        os.utime(new, (number + 1, number + 1))
    assert Tokens(model, sets[0], TokenCache(home)).cached  # used again, so the second is now the oldest
    size = max(TokenCache(home).sizes().values())
    abandoned = home / TOKENS_FOLDER / ".new-left"
    abandoned.mkdir()
    os.utime(abandoned, (0, 0))
    Tokens(model, sets[2], TokenCache(home, kept_bytes=int(2.5 * size)))
    assert not abandoned.exists()
    assert len(TokenCache(home).sizes()) == 2
    assert [Tokens(model, given, TokenCache(home)).cached for given in sets] == [True, False, True]


def test_a_cache_too_small_for_one_still_serves_it(model: SentenceTransformer, columns: list[list[str]], home: Path) -> None:
    sound = pieces(Tokens(model, columns))
    assert pieces(Tokens(model, columns, TokenCache(home, kept_bytes=1))) == sound


def test_another_run_that_was_faster_is_no_error(
    model: SentenceTransformer, columns: list[list[str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = token_cache._seal

    def overtaken(draft: Path) -> None:
        monkeypatch.setattr(token_cache, "_seal", seal)
        Tokens(model, columns, TokenCache(home))
        seal(draft)

    monkeypatch.setattr(token_cache, "_seal", overtaken)
    tokens = Tokens(model, columns, TokenCache(home))
    assert pieces(tokens) == [model.tokenize(column) for column in columns]
    assert len(list((home / TOKENS_FOLDER).iterdir())) == 1


def test_a_home_that_cannot_be_written_to_is_said(model: SentenceTransformer, columns: list[list[str]], home: Path) -> None:
    home.mkdir()
    (home / TOKENS_FOLDER).write_text("in the way")
    with pytest.raises(RunError, match="cannot be stored under"):
        Tokens(model, columns, TokenCache(home))


def test_texts_without_a_word_piece(model: SentenceTransformer, home: Path) -> None:
    model.encoder.tokenize = lambda texts: [[] for _ in texts]  # type: ignore[method-assign]
    tokens = Tokens(model, [["", " "], ["", ""]], TokenCache(home))
    assert tokens.lengths.tolist() == [0] and tokens.ids(0) == []
