"""Files broken in ways that a seed decides, for tests that whatever comes in is answered in a sentence."""

import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 31, 10**6, 2**31, 2**63, 10**40, 0.5, -0.0, 1e308, float("nan"), float("inf"),
    "", " ", "32", "gelu", "nan", "\x00", "\ud800", "é" * 300, "../..", "/", "con", [], {}, [[]], [1], ["a"], {"a": 1}, [None] * 40,
)  # fmt: skip
"""What a JSON value may be replaced by; NaN and infinity are written as Python writes them."""

ODD_BYTES: tuple[bytes, ...] = (
    b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\\", b"{", b"}", b"[",
    b"]", b":", b"null", b"NaN", b"-Infinity", b"1e999", b"\\ud800", b"\\u0000", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xc3", b"9" * 400,
    b"[" * 3000, b'{"a":' * 3000, b'"' * 99, b"," * 500, b"=1+1", b"\xf0\x9f\x98\x80", b"\x1a", b"  ", b"-", b"5,5", b"PK\x03\x04",
)  # fmt: skip

Change = Callable[[random.Random, bytes], bytes]


def _flip(draw: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 3, 20))):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _cut(draw: random.Random, data: bytes) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _insert(draw: random.Random, data: bytes) -> bytes:
    place = draw.randrange(len(data) + 1)
    return data[:place] + draw.choice(ODD_BYTES) + data[place:]


def _remove(draw: random.Random, data: bytes) -> bytes:
    start = draw.randrange(len(data) + 1)
    return data[:start] + data[start + draw.choice((1, 2, 10, 100)) :]


def _repeat(draw: random.Random, data: bytes) -> bytes:
    start = draw.randrange(len(data) + 1)
    part = data[start : start + draw.choice((1, 10, 200))]
    return data[:start] + part * draw.choice((2, 5)) + data[start:]


def _replace_number(draw: random.Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    if not found:
        return data
    place = draw.choice(found)
    return data[: place.start()] + draw.choice(ODD_BYTES) + data[place.end() :]


CHANGES: tuple[Change, ...] = (_flip, _cut, _insert, _insert, _remove, _repeat, _replace_number)


def broken_bytes(draw: random.Random, data: bytes) -> bytes:
    """Return bytes with one to three changes."""
    for _ in range(draw.choice((1, 1, 2, 3))):
        data = draw.choice(CHANGES)(draw, data)
    return data


def broken_json(draw: random.Random, text: str) -> bytes:
    """Return a JSON document with one to three of its values replaced, taken away or added."""
    document = json.loads(text)
    for _ in range(draw.choice((1, 1, 2, 3))):
        holder = document
        while True:
            keys: list[Any] = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = draw.choice(keys)
            inner = holder[key]
            if isinstance(inner, dict | list) and inner and draw.random() < 0.7:
                holder = inner
                continue
            if draw.random() < 0.15:
                del holder[key]
            else:
                holder[key] = copy.deepcopy(draw.choice(ODD_VALUES))
            break
    return json.dumps(document, ensure_ascii=True).encode()


def is_one_sentence(message: str) -> bool:
    """Return whether a message can be printed and read: one line, of some length, in characters that a terminal takes."""
    message.encode("utf-8")
    return message == message.strip() and "\n" not in message and 10 < len(message) < 1500 and "Traceback" not in message
