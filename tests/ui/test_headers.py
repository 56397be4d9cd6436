import pytest
from starlette.testclient import TestClient

from workbench.settings import Settings
from workbench.ui import create_app

ELSEWHERE = "http://127.0.0.1:9999"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    app = create_app(Settings(home=tmp_path_factory.mktemp("headers"), port=7860))

    @app.get("/api/broken")
    def broken():
        raise KeyError("oops")

    # Gradio, mounted at the root, stands before it.
    app.router.routes.insert(0, app.router.routes.pop())
    return app


@pytest.fixture
def client(app):
    return TestClient(app, base_url="http://127.0.0.1:7860", raise_server_exceptions=False)


@pytest.fixture
def token(app):
    return {"Authorization": f"Bearer {app.state.token}"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/", 401),
        ("/config", 200),
        ("/wb-static/workbench.css", 200),
        ("/api/health", 200),
        ("/api/runs/nothing", 404),
        ("/no/such", 404),
        ("/api/broken", 500),
    ],
)
def test_every_answer_says_what_may_frame_it(client, token, path, status):
    answer = client.get(path, headers={} if status == 401 else token)
    assert answer.status_code == status
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["frame-ancestors"] == "'none'" and policy["object-src"] == "'none'" and policy["default-src"] == "'self'"
    assert not [part for part in " ".join(policy.values()).split() if "//" in part or part in {"*", "https:"}]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_a_refused_host_has_them_too(client):
    answer = client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400 and answer.headers["x-frame-options"] == "DENY"


def test_a_mistake_is_a_sentence(client, token):
    assert "made a mistake (KeyError)" in client.get("/api/broken", headers=token).json()["error"]


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info", "/api/runs", "/api/health"])
def test_no_page_of_another_port_may_read_an_answer(client, token, path):
    for answer in (
        client.get(path, headers={**token, "Origin": ELSEWHERE}),
        client.options(path, headers={**token, "Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}),
    ):
        assert [name for name in answer.headers if name.startswith("access-control-")] == []
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_named_origin_may_frame_the_page(home):
    app = create_app(Settings(home=home, frame_origins=("https://lab.example", "http://127.0.0.1:8000"), needs_token=False))
    answer = TestClient(app, base_url="http://127.0.0.1").get("/")
    assert answer.headers["content-security-policy"].endswith("frame-ancestors https://lab.example http://127.0.0.1:8000")
    assert "x-frame-options" not in answer.headers
