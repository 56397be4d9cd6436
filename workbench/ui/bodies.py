"""What a request may carry: a megabyte, and JSON that every part behind can read and write again."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 1 << 20
"""Bytes; uploads of files are limited elsewhere."""

LARGEST_READ = 64 << 20
"""Bytes of a body that is too large which are still read, and thrown away, so that the client hears why it is refused."""

DEEPEST_JSON = 100
UPLOAD_PATH = "/gradio_api/upload"

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_BRACKET = re.compile(rb"[\[\]{}]")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


class Bodies:
    """Read the body of every request but an upload, and refuse what is too large or no JSON to work with.

    Args:
        app: What gets the body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request here, hand the others on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        upload = get_route_path(scope).rstrip("/") == UPLOAD_PATH and kind == "multipart/form-data"
        announced = "content-length" in headers or "transfer-encoding" in headers
        if upload or (scope["method"] in _WITHOUT_BODY and not announced):
            await self.app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            words = (
                f"The request is larger than {LARGEST_BODY >> 20} MB, the most that is taken outside of file uploads; "
                "send less at a time, or upload it as a file."
            )
            await JSONResponse({"error": words}, 413, {"Connection": "close"})(scope, receive, send)
            return
        # Whatever calls itself what: the routes behind read a body of unknown type as JSON too.
        if body and kind not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
            try:
                check_json(body)
            except ValueError as error:
                await JSONResponse({"error": f"The request cannot be read: {error}."}, 400)(scope, receive, send)
                return
        handed = False

        async def replay() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


async def _read(receive: Receive) -> bytes | None:
    """Return the body, or None if it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts) if size <= LARGEST_BODY else None  # the client has gone, and no one hears an answer
        part = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            parts.clear()
        else:
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if size <= LARGEST_BODY else None
        if size > LARGEST_READ:
            return None


def check_json(body: bytes) -> None:
    """Check that a text is JSON whose numbers are finite, whose texts are Unicode, and which is not too deep.

    Raises:
        ValueError: If it is not, with what is wrong.
    """
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST_JSON:
            raise ValueError(f"its JSON is nested more than {DEEPEST_JSON} levels deep")
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_number, parse_float=_finite, parse_int=_whole)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error.msg} at character {error.pos + 1})") from None
    try:
        # Escapes can spell half of a character (a lone surrogate), which can be neither stored nor sent.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text in it holds half of a character (a lone surrogate)") from None


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _whole(text: str) -> int:
    # Beyond, a whole number becomes infinite where a fraction is wanted.
    if len(text) > 300:
        raise ValueError(f"a number of {len(text)} digits is too large")
    return int(text)
