"""The one middleware before everything else: who may talk to the workbench, and from which page."""

from __future__ import annotations

import base64
import binascii
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATH = "/api/health"
"""The one path without a password, so that a supervisor can ask whether the server lives."""


class Gate:
    """Check Host, Origin and password of every request.

    Args:
        app: What to guard.
        settings: Names the bind address, the further host names and the password.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.auth = settings.auth
        self.named_hosts = frozenset(name.lower() for name in settings.allowed_hosts)
        self.hosts = frozenset({settings.host.lower(), "localhost", "127.0.0.1", "::1"}) | self.named_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request here, hand the others on."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refuse(scope, headers)
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            await refusal(scope, receive, send)

    def _refuse(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if _host_name(host) not in self.hosts:
            # A page elsewhere may point its own name at this machine (DNS rebinding); only known names are answered.
            return PlainTextResponse(
                "This host name is not known here; start the workbench with --allowed-host NAME to accept it.", 400
            )
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if origin is not None and changes and not self._is_own(origin, host):
            return PlainTextResponse("A page of another origin may not change anything here.", 403)
        if self.auth is not None and scope["path"] != OPEN_PATH and not self._knows_password(headers.get("authorization", "")):
            return PlainTextResponse("A password is needed.", 401, {"WWW-Authenticate": 'Basic realm="workbench", charset="UTF-8"'})
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        netloc = urlsplit(origin).netloc.lower()
        # Behind a reverse proxy the Host may be ours while the browser knows the name it was given.
        return bool(netloc) and (netloc == host.lower() or netloc in self.named_hosts)

    def _knows_password(self, header: str) -> bool:
        assert self.auth is not None
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return False
        return secrets.compare_digest(given, ":".join(self.auth).encode())


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
