"""No answer gets lost where one of Gradio's streams ends and the next begins."""

import time

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from workbench.ui.draft import load_draft
from workbench.ui.streams import HEADER, SESSIONS_REMEMBERED, Streams

LATE_READER = """() => {
  const read = ReadableStreamDefaultReader.prototype.read;
  ReadableStreamDefaultReader.prototype.read = async function (...options) {
    const result = await read.apply(this, options);
    await new Promise((resolve) => setTimeout(resolve, 100));
    return result;
  };
}"""
"""A browser that reads each line of a stream a moment after it came, as a busy one does."""


def make_client():
    async def data(request):
        return StreamingResponse(iter(['data: {"msg":"process_completed"}\n\n', 'data: {"msg":"close_stream"}\n\n']))

    async def join(request):
        return PlainTextResponse("joined")

    gradio = Starlette(routes=[Route("/api/queue/data", data), Route("/api/queue/join", join, methods=["POST"])])
    streams = Streams(gradio, waits=lambda session: session != "answered")
    return streams, TestClient(streams)


def ended(client, stream):
    return client.post("/api/queue/join", params={"stream": stream} if stream else None).headers.get(HEADER)


def test_a_question_hears_whether_the_stream_it_counts_on_has_ended():
    _, client = make_client()
    assert ended(client, "s:1") is None
    client.get("/api/queue/data", params={"session_hash": "s"})
    assert ended(client, "s:1") == "ended"
    assert ended(client, "s:2") is None
    client.get("/api/queue/data", params={"session_hash": "s"})
    assert ended(client, "s:1") == ended(client, "s:2") == "ended"
    assert ended(client, "other:1") is None


@pytest.mark.parametrize("stream", [None, "", "s", "s:", "s:x", "s:-1", "s:" + "9" * 5000, ":::"])
def test_what_names_no_stream_hears_nothing(stream):
    _, client = make_client()
    client.get("/api/queue/data", params={"session_hash": "s"})
    assert ended(client, stream) is None


def test_a_stream_has_ended_before_its_end_is_sent():
    """Otherwise a question that comes in between would still count on it."""
    seen = []

    async def gradio(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'data: {"msg":"estimation"}\n\n', "more_body": True})
        await send({"type": "http.response.body", "body": b'data: {"msg":"close_stream"}\n\n', "more_body": True})

    streams = Streams(gradio, waits=lambda session: True)

    async def send(message):
        seen.append(dict(streams.ended))

    asked = streams({"type": "http", "path": "/queue/data", "query_string": b"session_hash=s"}, None, send)
    with pytest.raises(StopIteration):  # nothing in it waits, so it needs no loop, of which the browser's may be running here
        asked.send(None)
    assert seen == [{}, {}, {"s": 1}]
    assert streams.ended == {"s": 1}


def test_a_stream_over_which_nothing_will_come_ends_at_once():
    _, client = make_client()
    for number in (1, 2):
        answer = client.get("/api/queue/data", params={"session_hash": "answered"})
        assert answer.text == 'data: {"msg":"close_stream","event_id":null}\n\n'
        assert answer.headers["content-type"] == "text/event-stream"
        assert ended(client, f"answered:{number}") == "ended"
    assert ended(client, "answered:3") is None


def test_sessions_are_forgotten():
    streams, client = make_client()
    for number in range(SESSIONS_REMEMBERED + 2):
        client.get("/api/queue/data", params={"session_hash": str(number)})
    assert len(streams.ended) == SESSIONS_REMEMBERED
    assert ended(client, "0:1") is None
    assert ended(client, f"{SESSIONS_REMEMBERED + 1}:1") == "ended"


@pytest.mark.browser
def test_what_is_asked_while_a_stream_ends_is_answered(page, server):
    page.goto(f"{server.url}/?tab=build")
    stack = page.locator("#build-stack .wb-stack")
    expect(stack).to_have_attribute("data-state", "ready")
    page.locator("#build-hub button").first.click()
    page.wait_for_timeout(2000)  # what the page asks for at its start has been answered
    page.evaluate(LATE_READER)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/queue/join" in request.url else None)
    page.get_by_role("button", name="Add Normalize", exact=True).click()
    deadline = time.monotonic() + 30
    while "normalize" not in load_draft(server.home).architecture.to_text():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)
    # Python has answered, and the browser is still reading.
    page.wait_for_timeout(200)
    expect(stack).to_have_attribute("data-state", "saving")
    page.locator("#build-hub-search").click()
    expect(page.locator("#build-hub-note")).to_contain_text("Type a part of a model's name first")
    expect(stack).to_have_attribute("data-state", "ready")
    assert len(asked) == 2  # a third question would have brought the answer along
