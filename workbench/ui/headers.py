"""What every answer tells the browser: who may frame the page, what it may load, and what stays on this origin."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.settings import Settings

# Gradio writes its configuration as an inline script, sets styles inline, and compiles expressions of its own.
_POLICY = (
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "media-src 'self' data: blob:",
    "worker-src 'self' blob:",
    "connect-src 'self' data: blob:",
    "frame-src 'self'",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
)


def safety_headers(settings: Settings) -> Mapping[str, str]:
    """Return the headers of every answer.

    Args:
        settings: Names the origins that may frame the page.
    """
    ancestors = " ".join(settings.frame_origins) or "'none'"
    headers = {
        "Content-Security-Policy": "; ".join((*_POLICY, f"frame-ancestors {ancestors}")),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if not settings.frame_origins:
        headers["X-Frame-Options"] = "DENY"
    return headers


class SafetyHeaders:
    """Put the headers on every answer, and take off those by which Gradio lets pages of other local ports read it.

    Args:
        app: What answers.
        settings: Names the origins that may frame the page.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.headers = safety_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and mark its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
                for name, value in self.headers.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, mark)
