import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from workbench.ui.bodies import DEEPEST_JSON, LARGEST_BODY, LARGEST_READ, Bodies, check_json

JSON = {"Content-Type": "application/json"}


async def size(request):
    return PlainTextResponse(str(len(await request.body())))


async def echo(request):
    return JSONResponse(await request.json())


@pytest.fixture
def client():
    routes = [Route(path, size, methods=["GET", "POST"]) for path in ("/size", "/gradio_api/upload", "/gradio_api/uploads")]
    app = Starlette(routes=[*routes, Route("/json", echo, methods=["POST", "PUT"])])
    app.add_middleware(Bodies)
    return TestClient(app, base_url="http://127.0.0.1")


def chunks(length):
    for _ in range(length >> 16):
        yield b"x" * (1 << 16)


def test_a_megabyte_is_taken(client):
    answer = client.post("/size", content=b'"' + b"x" * (LARGEST_BODY - 2) + b'"', headers=JSON)
    assert answer.text == str(LARGEST_BODY)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("path", ["/size", "/gradio_api/uploads", "/nothing"])
def test_more_is_refused_in_a_sentence_announced_or_not(client, method, path):
    for content in (b"1" * (LARGEST_BODY + 1), chunks(LARGEST_BODY + (1 << 16))):
        answer = client.request(method, path, content=content, headers=JSON)
        assert answer.status_code == 413
        assert "larger than 1 MB" in answer.json()["error"]


def test_a_body_that_never_ends_is_counted_as_it_comes(client):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1 << 20
            yield b" " * (1 << 20)

    async def send_to(app):
        answers = []
        source = endless()

        async def receive():
            return {"type": "http.request", "body": next(source), "more_body": True}

        async def send(message):
            answers.append(message)

        headers = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
        await app({"type": "http", "method": "POST", "path": "/size", "headers": headers}, receive, send)
        return answers

    # In a thread of its own: playwright keeps a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        answers = thread.submit(asyncio.run, send_to(Bodies(size))).result(60)
    assert answers[0]["status"] == 413
    assert taken == LARGEST_READ + (1 << 20)


def test_an_upload_may_be_large_but_only_as_an_upload(client):
    large = b"x" * (3 * LARGEST_BODY)
    answer = client.post("/gradio_api/upload", files={"files": ("a.csv", large)})
    assert answer.status_code == 200 and int(answer.text) > len(large)
    assert client.post("/gradio_api/upload", content=large, headers=JSON).status_code == 413
    assert client.post("/json", files={"files": ("a.csv", large)}).status_code == 413


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "nested more than"),
        (b'{"a":' * 100_000, "nested more than"),
        (b'{"keep": NaN}', "NaN is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b"[1e999]", "1e999 is too large"),
        (b"[" + b"9" * 5000 + b"]", "5000 digits"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\udfff": 1}', "lone surrogate"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'"\xe9"', "not UTF-8"),
        (b"{", "no JSON"),
        (b'"\\', "no JSON"),
        (b"\x00", "no JSON"),
    ],
)
def test_json_that_nothing_can_be_done_with_is_a_sentence(client, body, words):
    answer = client.post("/json", content=body, headers=JSON)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert len(answer.json()["error"]) < 200


def test_other_json_goes_on_as_it_came(client):
    value = {"a": [1, -2.5e-300, True, None, 'ä\U0001f600[[[{{{"\\'], "b": {}}
    assert client.put("/json", json=value).json() == value
    deep = "[" * DEEPEST_JSON + "]" * DEEPEST_JSON
    check_json(deep.encode())
    check_json(json.dumps("[" * 500).encode())


def test_what_calls_itself_something_else_is_looked_at_too(client):
    assert client.post("/json", content=b"[NaN]", headers={"Content-Type": "text/plain"}).status_code == 400
    assert client.post("/json", content=b"[NaN]").status_code == 400
