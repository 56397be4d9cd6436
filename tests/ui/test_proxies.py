"""Behind a reverse proxy: what it says about the browser, and the path it puts before ours."""

import asyncio
import threading
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from tests.ui.conftest import serving
from workbench.settings import Settings
from workbench.ui.proxies import ReverseProxy

PREFIX = "/lab/workbench"


async def told(scope, receive, send):
    names = [name.decode() for name, _ in scope["headers"]]
    host = dict(scope["headers"])[b"host"].decode()
    seen = {"client": scope["client"][0], "scheme": scope["scheme"], "host": host, "names": names}
    await JSONResponse({**seen, "path": scope["path"], "root_path": scope.get("root_path", "")})(scope, receive, send)


def ask(home, headers, peer="10.0.0.1", path="/x", **settings):
    app = ReverseProxy(told, Settings(home=home, **settings))
    return TestClient(app, base_url="http://127.0.0.1:7860", client=(peer, 1)).get(path, headers=headers).json()


SAID = {
    "X-Forwarded-For": "1.1.1.1, 9.9.9.9, 10.0.0.2",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "lab.example",
    "Forwarded": "for=1.1.1.1",
    "X-Real-IP": "1.1.1.1",
    "X-Gradio-Server": "http://evil.example",
}


def test_what_anybody_says_is_forgotten(home):
    for options in ({}, {"trusted_proxies": ("10.9.0.0/16", "::1")}):
        seen = ask(home, SAID, **options)
        assert (seen["client"], seen["scheme"], seen["host"]) == ("10.0.0.1", "http", "127.0.0.1:7860")
        assert not [name for name in seen["names"] if "forwarded" in name or name.startswith("x-")]


def test_what_a_trusted_proxy_says_is_taken_over(home):
    seen = ask(home, SAID, trusted_proxies=("10.0.0.0/8",))
    assert (seen["client"], seen["scheme"], seen["host"]) == ("9.9.9.9", "https", "lab.example")
    assert not [name for name in seen["names"] if "forwarded" in name or name.startswith("x-")]
    assert ask(home, {}, trusted_proxies=("10.0.0.0/8",))["client"] == "10.0.0.1"


@pytest.mark.parametrize(
    ("path", "inner"), [("/x", "/x"), (f"{PREFIX}/x", "/x"), (PREFIX, ""), ("/lab/workbenches", "/lab/workbenches")]
)
def test_the_path_before_ours_may_be_on_or_off(home, path, inner):
    seen = ask(home, {}, path=path, root_path=PREFIX)
    assert (seen["path"], seen["root_path"]) == (PREFIX + inner, PREFIX)


@contextmanager
def proxying(port, strips):
    """A reverse proxy on a free port of 127.0.0.1 that offers the server at a path; yields its own port."""
    loop = asyncio.new_event_loop()
    tasks = set()

    async def carry(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, version = head[0].split(" ")
            if not target.startswith(PREFIX):
                writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                return
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            named = {name.lower(): value for name, value in headers.items()}
            headers |= {"Connection": "close", "Host": "127.0.0.1", "X-Forwarded-Host": named["host"]}
            headers = {name: value for name, value in headers.items() if name not in {"host", "connection"}}
            headers |= {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http"}
            inner, out = await asyncio.open_connection("127.0.0.1", port)
            path = target.removeprefix(PREFIX) if strips else target
            out.write("\r\n".join([f"{method} {path} {version}", *map(": ".join, headers.items()), "", ""]).encode("latin-1"))
            out.write(await reader.readexactly(int(named.get("content-length", 0))))
            await out.drain()
            try:
                await carry(inner, writer)
            finally:
                out.close()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the browser has gone, or the test is over
        finally:
            writer.close()
            tasks.discard(asyncio.current_task())

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, "127.0.0.1", 0), loop).result(20)

    async def end():
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@pytest.mark.browser
@pytest.mark.parametrize("strips", [True, False], ids=["path taken off", "path left on"])
def test_the_page_works_at_a_path_behind_a_proxy(page, home, strips, navigates):
    settings = Settings(home=home, port=0, root_path=PREFIX, trusted_proxies=("127.0.0.1",))
    with serving(settings) as server, proxying(int(server.url.rsplit(":", 1)[1]), strips) as port:
        url = f"http://127.0.0.1:{port}{PREFIX}/"
        page.goto(f"{url}?token={server.token}&tab=data")
        assert page.url.split("?")[0] == url and server.token not in page.url
        assert [cookie["path"] for cookie in page.context.cookies()] == [PREFIX]
        runs = page.evaluate("fetch('api/runs').then((answer) => answer.json())")
        assert runs == {"runs": [], "next": None}
        page.get_by_role("tab", name="Data", exact=True).click()
        page.locator("#data-sample").click()
        expect(page.locator("#data-summary")).to_contain_text("852 scored pairs")
        page.goto("about:blank")
