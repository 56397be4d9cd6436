"""What a reverse proxy says about the browser behind it, and the path under which it offers the page."""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.settings import Settings

_SAID_BY_PROXIES = (b"forwarded", b"x-forwarded-", b"x-real-ip", b"x-gradio-server")


class ReverseProxy:
    """Take over what a trusted proxy says, forget what anybody else says, and know the path before ours.

    Args:
        app: What is behind.
        settings: Names the trusted proxies and the path.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.root_path = settings.root_path
        self.trusted = tuple(ipaddress.ip_network(text) for text in settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on as the browser meant it."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        kept = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(_SAID_BY_PROXIES)]
        changed = {**scope, "headers": kept}
        client = scope.get("client")
        if client is not None and self._trusts(client[0]):
            # The last address that is no proxy of ours; what stands before it, the browser may have made up.
            chain = [part.strip() for part in ",".join(headers.getlist("x-forwarded-for")).split(",") if part.strip()]
            browser = next((address for address in reversed(chain) if not self._trusts(address)), None)
            if browser is not None:
                changed["client"] = (browser, 0)
            scheme = headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower()
            if scheme in {"http", "https"}:
                secure = scheme == "https"
                changed["scheme"] = {"http": "https" if secure else "http", "websocket": "wss" if secure else "ws"}[scope["type"]]
            host = headers.get("x-forwarded-host", "").split(",")[-1].strip()
            if host:
                kept[:] = [(name, value) for name, value in kept if name.lower() != b"host"]
                kept.append((b"host", host.encode("latin-1")))
        if self.root_path:
            # Some proxies take the path off, some leave it on.
            if scope["path"] != self.root_path and not scope["path"].startswith(self.root_path + "/"):
                changed["path"] = self.root_path + scope["path"]
                changed["raw_path"] = self.root_path.encode("ascii") + scope.get("raw_path", scope["path"].encode("utf-8"))
            changed["root_path"] = self.root_path
        await self.app(changed, receive, send)

    def _trusts(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self.trusted)
