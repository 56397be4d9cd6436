"""The middleware before everything else: who may talk to the workbench, and from which page."""

from __future__ import annotations

import html
import math
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette._utils import get_route_path
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.settings import Settings
from workbench.ui.credentials import TOKEN_FIELD, Admission, Credentials

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATH = "/api/health"
"""The one path without credentials, so that a supervisor can ask whether the server lives."""


class Gate:
    """Check Host, Origin and credentials of every request.

    Args:
        app: What to guard.
        settings: Names the bind address and the further host names.
        credentials: What admits.
    """

    def __init__(self, app: ASGIApp, settings: Settings, credentials: Credentials) -> None:
        self.app = app
        self.credentials = credentials
        self.named_hosts = frozenset(name.lower() for name in settings.allowed_hosts)
        self.hosts = frozenset({settings.host.lower(), "localhost", "127.0.0.1", "::1"}) | self.named_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request here, hand the others on."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refuse(scope, headers)
        path = get_route_path(scope)
        sets_cookie = False
        if answer is None and path != OPEN_PATH:
            admission = self.credentials.admit(scope, headers)
            sets_cookie = admission.sets_cookie
            if not admission.admitted:
                answer = self._ask(scope, headers, admission)
            elif admission.token_in_query:
                scope = {**scope, "query_string": _without_token(scope)}
                if path in {"", "/"} and scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
                    # The address in the browser's bar, history and bookmarks holds no secret.
                    query = scope["query_string"].decode("latin-1")
                    answer = RedirectResponse(f"{scope.get('root_path', '')}/" + (f"?{query}" if query else ""), 303)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", self.credentials.cookie(scope))
            await send(message)

        if answer is None:
            await self.app(scope, receive, send_with_cookie if sets_cookie else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            await answer(scope, receive, send_with_cookie if sets_cookie else send)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
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
        return None

    def _ask(self, scope: Scope, headers: Headers, admission: Admission) -> Response:
        if admission.wait > 0:
            seconds = math.ceil(admission.wait)
            return PlainTextResponse(
                f"Too many wrong guesses came from this address; try again in {seconds} s.", 429, {"Retry-After": str(seconds)}
            )
        if self.credentials.token is None:
            return PlainTextResponse("A password is needed.", 401, {"WWW-Authenticate": 'Basic realm="workbench", charset="UTF-8"'})
        return HTMLResponse(_token_page(scope, admission.wrong), 401, {"WWW-Authenticate": 'Bearer realm="workbench"'})

    def _is_own(self, origin: str, host: str) -> bool:
        netloc = urlsplit(origin).netloc.lower()
        # Behind a reverse proxy the Host may be ours while the browser knows the name it was given.
        return bool(netloc) and (netloc == host.lower() or netloc in self.named_hosts)


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _without_token(scope: Scope) -> bytes:
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")
    return urlencode([(name, value) for name, value in pairs if name != TOKEN_FIELD]).encode("ascii")


def _token_page(scope: Scope, wrong: bool) -> str:
    """Return the page that asks for the access token and comes back to the address that was wanted."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="replace")
    wanted = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in pairs
        if name != TOKEN_FIELD
    )
    refused = "<p><strong>That is not the access token of this workbench.</strong></p>" if wrong else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Embedding Workbench: access token needed</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font-family: system-ui, sans-serif; line-height: 1.5; max-width: 34rem; margin: 4rem auto; padding: 0 1rem; }}
input, button {{ font: inherit; padding: 0.4rem 0.6rem; }}
input {{ width: 100%; box-sizing: border-box; margin: 0.3rem 0 0.6rem; }}
</style>
</head>
<body>
<main>
<h1>Access token needed</h1>
{refused}
<p>Open the address that the workbench printed where it was started; it ends with <code>?token=…</code>.
Or paste that address, or the token alone, here. The token is kept in the file <code>access-token</code> of the home folder.</p>
<form method="get" action="{html.escape(scope.get("root_path", ""))}/">{wanted}
<label>Access token <input name="{TOKEN_FIELD}" type="password" autocomplete="off" required autofocus></label>
<button>Open the workbench</button>
</form>
<p>Scripts send it as <code>Authorization: Bearer TOKEN</code>.</p>
</main>
</body>
</html>
"""
