import base64

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from workbench.settings import Settings
from workbench.ui.access import Gate
from workbench.ui.credentials import Credentials


async def answer(request):
    return PlainTextResponse("in")


async def socket(websocket):
    await websocket.accept()
    await websocket.close()


async def echo(request):
    return PlainTextResponse(str(request.query_params))


def application(settings, credentials):
    methods = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
    routes = [Route(path, answer, methods=methods) for path in ("/", "/api/health", "/api/runs")]
    app = Starlette(routes=[*routes, Route("/echo", echo), WebSocketRoute("/socket", socket)])
    app.add_middleware(Gate, settings=settings, credentials=credentials)
    return app


def client(home, url="http://127.0.0.1:7860", **settings):
    settings = Settings(home=home, **settings)
    return TestClient(application(settings, Credentials(settings)), base_url=url)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7860", "localhost:1", "LOCALHOST", "[::1]:7860"])
def test_own_names_are_answered(home, host):
    assert client(home).get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil", "[", "169.254.1.1:7860"])
def test_other_names_are_refused(home, host):
    answer = client(home).get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "--allowed-host" in answer.text


def test_a_named_host_is_answered(home):
    page = client(home, allowed_hosts=("Lab.example",))
    assert page.get("/", headers={"Host": "lab.example:8080"}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1", ""])
def test_a_page_of_another_origin_changes_nothing(home, method, origin):
    assert client(home).request(method, "/", headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_left_to_the_browser(home, method):
    answer = client(home).request(method, "/", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["http://127.0.0.1:7860", None])
def test_the_own_page_and_scripts_may_change_things(home, origin):
    assert client(home).post("/", headers={"Origin": origin} if origin else {}).status_code == 200


def test_behind_a_proxy_the_named_origin_is_own(home):
    page = client(home, allowed_hosts=("lab.example",))
    assert page.post("/", headers={"Origin": "https://lab.example"}).status_code == 200
    assert page.post("/", headers={"Origin": "https://lab.example:444"}).status_code == 403


def test_a_foreign_web_socket_is_refused(home):
    with pytest.raises(WebSocketDisconnect), client(home).websocket_connect("/socket", headers={"Origin": "http://evil.example"}):
        pass


def basic(text):
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("path", ["/", "/api/runs", "/no/such"])
def test_everything_but_health_asks_for_the_password(home, path):
    page = client(home, auth=("ada", "läng:er"))
    refused = page.get(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert page.get(path, headers=basic("ada:läng:er")).status_code != 401


def test_health_is_open(home):
    assert client(home, auth=("ada", "x")).get("/api/health").status_code == 200


@pytest.mark.parametrize("header", ["", "Basic", "Basic ?", "Bearer x", "Basic " + base64.b64encode(b"ada").decode()])
def test_a_broken_password_header_is_no_key(home, header):
    assert client(home, auth=("ada", "x")).get("/", headers={"Authorization": header}).status_code == 401


def test_the_host_is_checked_before_the_password(home):
    assert client(home, auth=("ada", "x")).get("/", headers={"Host": "evil.example", **basic("ada:x")}).status_code == 400
