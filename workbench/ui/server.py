"""Listen, say where, and end quickly when asked to; runs go on without the server."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import sys
import threading
import webbrowser

from workbench.errors import InputError
from workbench.settings import Settings
from workbench.ui.credentials import TOKEN_FIELD

GRACE_SECONDS = 2
"""Open pages hold a connection for as long as they live; this long is waited for them."""


def serve(settings: Settings, open_browser: bool = False) -> None:
    """Serve the workbench until SIGTERM or Ctrl-C.

    Args:
        settings: Where the workbench lives and how it listens; port 0 picks a free one and prints it.
        open_browser: Whether to open the page in a browser once it answers.

    Raises:
        InputError: If the port is in use or the address is not one of this machine.
    """
    listener = _listen(settings)
    try:
        import uvicorn

        from workbench.ui.application import create_app

        settings = dataclasses.replace(settings, port=listener.getsockname()[1])
        app = create_app(settings)
        url = address(settings.host, settings.port)
        if app.state.token is not None:
            url = f"{url}/?{TOKEN_FIELD}={app.state.token}"
        # What proxies say is taken over, from those that are trusted, by the application itself.
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS, proxy_headers=False, server_header=False
        )
        server = uvicorn.Server(config)
        logging.getLogger("uvicorn.error").addFilter(_is_no_farewell)
        listener.listen(128)
        sys.stdout.write(f"Workbench on {url}  (home: {settings.home}; Ctrl-C ends it, runs go on)\n")
        sys.stdout.flush()
        if open_browser:
            threading.Timer(1.0, webbrowser.open, [url]).start()
        server.run(sockets=[listener])
    finally:
        listener.close()


def address(host: str, port: int) -> str:
    """Return the URL to open for a bind address."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn logs, with a traceback, about the open pages it has cut off at the end."""
    cut_off = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut_off and "graceful shutdown exceeded" not in record.getMessage()


def _listen(settings: Settings) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    try:
        if sys.platform != "win32":
            # A restart right after an end must not wait for old connections to time out.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise InputError(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}); "
            "choose another with `--port`, or `--port 0` for a free one.",
            field="port",
        ) from None
    return listener
