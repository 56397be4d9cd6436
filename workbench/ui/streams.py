"""No answer of Gradio's gets lost between two of its streams.

Gradio sends all answers of a page over one stream, which ends with the last one and begins again with the next question. A question
that arrives after the end was sent and before the browser has read it would get its answer only when something else is asked. The
script has each question name the stream it counts on; the middleware answers whether that one has ended.

A question may also be answered by the old stream before the browser has heard that it was taken. The browser begins a new stream all
the same, over which nothing will ever come; the middleware ends it at once.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.ui.components._script import read_script

HEADER = "x-workbench-stream"
SESSIONS_REMEMBERED = 1000
END = b'data: {"msg":"close_stream"'
NOTHING = END + b',"event_id":null}\n\n'


def streams_script() -> str:
    """Return the script that has to stand on the page before Gradio's own."""
    return f"<script>{read_script('streams')}</script>"


class Streams:
    """Count the streams that have ended, and say so to a question that counts on one of them.

    Args:
        app: The application with Gradio in it.
        waits: Says whether a session has asked something that no stream has answered yet.

    Attributes:
        ended: Number of streams that have ended, for each of the sessions seen last.
    """

    def __init__(self, app: ASGIApp, waits: Callable[[str], bool]) -> None:
        self.app = app
        self.waits = waits
        self.ended: OrderedDict[str, int] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and look at what is answered."""
        path = scope["path"] if scope["type"] == "http" else ""
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if path.endswith("/queue/data"):
            await self._follow(query.get("session_hash", [""])[0], scope, receive, send)
        elif path.endswith("/queue/join") and "stream" in query:
            session, _, number = query["stream"][0].rpartition(":")
            await self._tell(session, number, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _follow(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self.ended[session] = self.ended.get(session, 0) + 1
                self.ended.move_to_end(session)
                while len(self.ended) > SESSIONS_REMEMBERED:
                    self.ended.popitem(last=False)

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.body" and message.get("body", b"").startswith(END):
                end()  # before it is sent: from now on no answer goes this way
            await send(message)

        try:
            if self.waits(session):
                await self.app(scope, receive, watch)
            else:
                await watch({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
                await watch({"type": "http.response.body", "body": NOTHING})
        finally:
            end()

    async def _tell(self, session: str, number: str, scope: Scope, receive: Receive, send: Send) -> None:
        counted = int(number) if number.isdecimal() and len(number) < 10 else math.inf

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start" and self.ended.get(session, 0) >= counted:
                MutableHeaders(scope=message)[HEADER] = "ended"
            await send(message)

        await self.app(scope, receive, mark)
