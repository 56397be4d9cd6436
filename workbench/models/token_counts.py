"""How much of its texts an encoder reads: what it cuts off, which tokens it does not know, which texts it was not made for.

Nothing here needs torch: the page counts before anything is loaded.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.models.bases import MULTILINGUAL, find_base
from workbench.models.folder import read_folder

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

UNKNOWN_SHARE = 0.01
"""From this share of unknown tokens on it is said. Ten English sets have 0.000 of `mini`'s and of MiniLM's tokens unknown; Korean has
0.90 and 0.04, Japanese 0.57 and 0.18, Hindi 0.72 and 0.04."""

FOREIGN_SHARE = 0.05
"""From this share of texts on that the encoder was not made for it is said. Of English sets, 0.02 at the most are taken for such (queries
full of names of genes); of French 0.46, of Spanish 0.64, of Indonesian, German, Turkish and all in other scripts more."""

_UNKNOWN_IN_TEXT = 0.1
_SHORTEST = 12
"""Letters. Fewer tell nothing of a language."""

_SPLIT_WORDS = 1.5
_SPLIT_LETTERS = 3.0
"""A text in Latin letters whose words come apart into more tokens than the one, with fewer letters each than the other. English has
1.0 to 1.4 tokens a word and 3.8 to 4.4 letters a token in its encoders, French 1.6 and 2.5, German 2.0 and 2.5, Turkish 2.8 and 2.0."""

_LETTER_BY_LETTER = 1.25
"""A text in other letters that is read nearly one by one: 1.0 letters a token in Arabic and Russian, 1.1 in Hindi and 0.5 in Korean with
an English encoder, 1.6 to 2.4 with tokens learned from such texts."""

_BYTE_BY_BYTE = 0.9
"""A text in Chinese characters or kana, for which a token each is usual."""

_CHUNK = 4096
_EXAMPLES = 3

_WORDS = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-zª-ɏḀ-ỿ]")
_CHINESE_OR_KANA = re.compile("[぀-ヿ㐀-鿿豈-﫿\U00020000-\U0003ffff]")

_SCRIPTS = {"CJK": "Chinese characters"}

Kind = Literal["cut", "unknown", "foreign"]


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """What an encoder reads of some texts, one number for each.

    Attributes:
        limit: Tokens that the encoder reads of a text at most, special ones included.
        special: Special tokens of each text.
        tokens: Tokens of each text before anything is cut off, special ones included, int64 (texts,).
        unknown: How many of them the encoder does not know, int64 (texts,).
        foreign: Whether the text is in a script or language that the encoder was not made for, bool (texts,).
        examples: Some of what is unknown, as it is written.
        scripts: Scripts of the letters that it does not read as words, the most frequent first.
    """

    limit: int
    special: int
    tokens: NDArray[np.int64]
    unknown: NDArray[np.int64]
    foreign: NDArray[np.bool_]
    examples: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()

    @property
    def read(self) -> NDArray[np.int64]:
        """Tokens that the encoder reads of each text, int64 (texts,)."""
        return np.minimum(self.tokens, self.limit)

    @property
    def cut(self) -> NDArray[np.int64]:
        """Tokens of each text behind its limit, int64 (texts,)."""
        return self.tokens - self.read

    @property
    def cut_texts(self) -> int:
        """Number of texts that are longer than its limit."""
        return int((self.cut > 0).sum())

    @property
    def unknown_share(self) -> float:
        """Share of unknown tokens among all that are not special."""
        return float(self.unknown.sum() / max(1, (self.tokens - self.special).sum()))

    @property
    def foreign_share(self) -> float:
        """Share of texts that the encoder was not made for."""
        return float(self.foreign.mean()) if len(self.foreign) else 0.0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenCounts) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.limit, self.tokens.tobytes()))

    def __add__(self, other: TokenCounts) -> TokenCounts:
        """Return the counts of these texts and others of the same encoder."""
        return TokenCounts(
            self.limit,
            self.special,
            np.concatenate([self.tokens, other.tokens]),
            np.concatenate([self.unknown, other.unknown]),
            np.concatenate([self.foreign, other.foreign]),
            tuple(dict.fromkeys([*self.examples, *other.examples]))[:_EXAMPLES],
            tuple(dict.fromkeys([*self.scripts, *other.scripts])),
        )

    def summary(self) -> dict[str, Any]:
        """Return the totals as plain JSON data."""
        return {
            "texts": len(self.tokens),
            "limit": self.limit,
            "cut_texts": self.cut_texts,
            "cut_tokens": int(self.cut.sum()),
            "longest": int(self.tokens.max(initial=0)),
            "unknown_tokens": int(self.unknown.sum()),
            "unknown_share": round(self.unknown_share, 4),
            "foreign_texts": int(self.foreign.sum()),
        }

    def by_text(self) -> list[dict[str, int]]:
        """Return the numbers of each text as plain JSON data."""
        columns = zip(self.read.tolist(), self.cut.tolist(), self.unknown.tolist(), strict=True)
        return [{"read": read, "cut": cut, "unknown": unknown} for read, cut, unknown in columns]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data that `from_dict` reads."""
        arrays = {name: getattr(self, name).tolist() for name in ("tokens", "unknown", "foreign")}
        rest = {"limit": self.limit, "special": self.special, "examples": list(self.examples), "scripts": list(self.scripts)}
        return {**rest, **arrays}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TokenCounts:
        """Read what `to_dict` wrote."""
        return cls(
            data["limit"],
            data["special"],
            np.array(data["tokens"], dtype=np.int64),
            np.array(data["unknown"], dtype=np.int64),
            np.array(data["foreign"], dtype=np.bool_),
            tuple(data["examples"]),
            tuple(data["scripts"]),
        )

    def findings(self, encoder: str, remedy: str = "") -> list[tuple[Kind, str]]:
        """Return what the user of these texts should know; nothing where all is read and known.

        Args:
            encoder: What to call it.
            remedy: What to do where texts are cut off, as the end of a sentence.
        """
        found: list[tuple[Kind, str]] = [
            ("cut", self._cut_words(encoder, remedy)),
            ("unknown", self._unknown_words(encoder)),
            ("foreign", self._foreign_words(encoder)),
        ]
        return [(kind, text) for kind, text in found if text]

    def _cut_words(self, encoder: str, remedy: str) -> str:
        count, texts = self.cut_texts, len(self.tokens)
        if not count:
            return ""
        verb = "is" if count == 1 else "are"
        longest = int(self.tokens.max())
        of = f"{count:,} of {texts:,} texts {verb}" if texts > 1 else "The text is"
        return (
            f"{of} cut off after the {self.limit:,} tokens that {encoder} reads: what comes behind counts for nothing "
            f"(the longest loses {longest - self.limit:,} of {longest:,} tokens). {remedy}"
        ).rstrip()

    def _unknown_words(self, encoder: str) -> str:
        if self.unknown_share < UNKNOWN_SHARE or not self.unknown.any():
            return ""
        named = " ".join(self.examples)
        words = (
            f"{percent(self.unknown_share)} of the tokens are unknown to {encoder}, for example {named}: "
            "to it all of these are one and the same token, and texts that differ in nothing else are equal."
        )
        return words if self.foreign_share >= FOREIGN_SHARE else f"{words} {_other_encoder()}"

    def _foreign_words(self, encoder: str) -> str:
        if self.foreign_share < FOREIGN_SHARE:
            return ""
        count, texts = int(self.foreign.sum()), len(self.foreign)
        of = f"{count:,} of {texts:,} texts are" if texts > 1 else "The text is"
        script = f" (letters: {', '.join(self.scripts[:2])})" if self.scripts else ""
        return f"{of} in a language or script that {encoder} was not made for{script}. {_other_encoder()}"


def cut_remedy(limit: int, most: int) -> str:
    """Return what to do about texts that are cut off, as a sentence.

    Args:
        limit: Tokens read of a text.
        most: Tokens that the encoder can be set to read.
    """
    raised = f"Raise `max_seq_length` (at most {most:,})" if limit < most else "Take an encoder for longer texts"
    return f"{raised}, or shorten the texts."


def short_name(base: str) -> str:
    """Return a base encoder's name without the folders before it."""
    return base.replace("\\", "/").rstrip("/").rpartition("/")[2]


def percent(share: float) -> str:
    """Return a share in percent, with a decimal where it is small."""
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.1f}%"


def _other_encoder() -> str:
    return f"Take one that was, such as `{MULTILINGUAL}` (50 languages)."


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str], limit: int, lower: bool = False, learned: bool = False) -> TokenCounts:
    """Count the tokens of texts.

    Args:
        tokenizer: The encoder's; how it cuts off and pads is switched off.
        texts: In any order; the counts come in that order.
        limit: Tokens that the encoder reads of a text at most.
        lower: Whether texts are put into lower case first.
        learned: Whether the tokens were learned from these texts, so that no text is foreign however its words come apart.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown_id = _unknown_id(tokenizer)
    special = int(tokenizer.num_special_tokens_to_add(False))
    parts = [np.empty((0, 3), dtype=np.int64)]
    examples: dict[str, None] = {}
    scripts: Counter[str] = Counter()
    for start in range(0, len(texts), _CHUNK):
        cleaned = [text.strip().lower() if lower else text.strip() for text in texts[start : start + _CHUNK]]
        encodings = tokenizer.encode_batch(cleaned, add_special_tokens=False)
        letters = _count_letter_tokens(tokenizer, encodings)
        rows = []
        for text, encoding, of_letters in zip(cleaned, encodings, letters.tolist(), strict=True):
            unknown = [] if unknown_id is None else _unknown_parts(text, encoding, unknown_id)
            unread = sum(any(map(str.isalpha, part)) for part in unknown)
            foreign = not learned and (
                (unread > 0 and unread >= _UNKNOWN_IN_TEXT * len(encoding.ids)) or _comes_apart(text, of_letters)
            )
            if len(examples) < _EXAMPLES:
                examples.update(dict.fromkeys(part for part in unknown if part))
            if foreign:
                scripts.update(_scripts(text))
            rows.append((len(encoding.ids) + special, len(unknown), int(foreign)))
        parts.append(np.array(rows, dtype=np.int64).reshape(-1, 3))
    counted = np.concatenate(parts)
    named = tuple(name for name, _ in scripts.most_common() if name != "Latin")
    return TokenCounts(
        limit, special, counted[:, 0], counted[:, 1], counted[:, 2].astype(np.bool_), tuple(examples)[:_EXAMPLES], named
    )


def count_before_loading(base: str, texts: Sequence[str], home: Path, limit: int | None = None) -> TokenCounts | None:
    """Count the tokens of texts by a base encoder's tokenizer alone, which takes a moment and no torch.

    Args:
        base: A bundled name, a folder or a Hub name; a run's id must have been resolved to its folder.
        texts: What to count.
        home: The workbench's home, where base encoders are looked up.
        limit: Where texts will be cut off; None for the encoder's own.

    Returns:
        None where there is no tokenizer to look at: `scratch` has none yet, a Hub model may not be on this machine, and some folders have
        none in the fast form.
    """
    from tokenizers import Tokenizer

    try:
        folder = find_base(base, home)
        if folder is None:
            return None
        read = read_folder(folder)
        tokenizer = Tokenizer.from_file(str(read.encoder / "tokenizer.json"))
    except Exception:  # whatever is wrong with the base is said where it is loaded; the library raises bare exceptions
        return None
    prefix = str((read.settings.get("prompts") or {}).get(read.settings.get("default_prompt_name"), ""))
    return count_tokens(tokenizer, [prefix + text for text in texts], limit or read.max_seq_length, read.do_lower_case)


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    """Return the number of the token that stands for what is not known; None where, as with bytes, there is no such thing."""
    from tokenizers.models import Unigram

    token = getattr(tokenizer.model, "unk_token", None)
    if isinstance(tokenizer.model, Unigram):  # keeps a number instead, and shows it nowhere else
        model = json.loads(tokenizer.to_str())["model"]
        token = None if model["unk_id"] is None else model["vocab"][model["unk_id"]][0]
    number = None if token is None else tokenizer.token_to_id(token)
    return None if number is None else int(number)


def _unknown_parts(text: str, encoding: Encoding, unknown_id: int) -> list[str]:
    if unknown_id not in encoding.ids:
        return []
    spans = zip(encoding.ids, encoding.offsets, strict=True)
    return [text[start:end].strip() for number, (start, end) in spans if number == unknown_id]


def _count_letter_tokens(tokenizer: Tokenizer, encodings: Sequence[Encoding]) -> NDArray[np.int64]:
    """Return how many tokens of each text hold a letter, or a byte of one, int64 (texts,)."""
    lengths = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
    ids = np.fromiter((number for encoding in encodings for number in encoding.ids), dtype=np.int64, count=int(lengths.sum()))
    distinct, places = np.unique(ids, return_inverse=True)
    shown = (tokenizer.decode([number], skip_special_tokens=False) for number in distinct.tolist())
    holds = np.fromiter(
        (any(sign.isalpha() or sign == "\ufffd" for sign in token) for token in shown), dtype=np.int64, count=len(distinct)
    )
    sums = np.concatenate([[0], np.cumsum(holds[places])])
    ends = np.cumsum(lengths)
    return np.asarray(sums[ends] - sums[ends - lengths], dtype=np.int64)


def _comes_apart(text: str, tokens: int) -> bool:
    """Return whether a text is read in pieces smaller than those of a text that the encoder was made for.

    Args:
        text: The text.
        tokens: How many of its tokens hold letters.
    """
    letters = sum(map(str.isalpha, text))
    if letters < _SHORTEST or not tokens:
        return False
    latin, chinese = len(_LATIN.findall(text)), len(_CHINESE_OR_KANA.findall(text))
    if 2 * latin >= letters:
        return tokens > _SPLIT_WORDS * len(_WORDS.findall(text)) and letters < _SPLIT_LETTERS * tokens
    return letters < (_BYTE_BY_BYTE if 2 * chinese >= letters else _LETTER_BY_LETTER) * tokens


def _scripts(text: str) -> Counter[str]:
    """Return the names of the scripts of a text's letters, and how many are of each."""
    names = (unicodedata.name(sign, "").partition(" ")[0].partition("-")[0] for sign in text if sign.isalpha())
    return Counter(_SCRIPTS.get(name, name.capitalize()) for name in names if name)
