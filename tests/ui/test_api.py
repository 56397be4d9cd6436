import pytest
from starlette.testclient import TestClient

from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import get_run, submit
from workbench.ui import create_app


@pytest.fixture
def client(settings):
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def queued(home, tmp_path, tiny_bert, pairs_csv):
    """A run that waits: no supervisor is started."""
    return submit(
        Recipe(base=str(tiny_bert), data=str(pairs_csv), training=TrainingConfig(max_steps=3), name="Wörter"), home, start=False
    )


def test_health_names_this_start_of_the_server(client, settings):
    first = client.get("/api/health").json()
    assert first["status"] == "ok"
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as again:
        assert again.get("/api/health").json()["boot_id"] != first["boot_id"]


def test_there_are_no_runs_at_first(client):
    assert client.get("/api/runs").json() == {"runs": []}


def test_a_run_is_listed_and_shown(client, queued):
    (listed,) = client.get("/api/runs").json()["runs"]
    assert listed["run_id"] == queued.run_id
    shown = client.get(f"/api/runs/{queued.run_id}").json()
    assert (shown["name"], shown["status"], shown["kind"]) == ("Wörter", "queued", "train")


def test_live_hands_on_points_after_the_cursor_only(client, queued):
    metrics = queued.folder / "metrics.jsonl"
    metrics.write_text('{"type": "train", "step": 1, "loss": 2.0}\n')
    first = client.get(f"/api/runs/{queued.run_id}/live").json()
    assert [point["step"] for point in first["points"]] == [1]
    assert first["boot_id"]
    with metrics.open("a") as file:
        file.write('{"type": "train", "step": 2, "loss": 1.0}\n{"type": "tra')
    second = client.get(f"/api/runs/{queued.run_id}/live", params={"after": first["cursor"]}).json()
    assert [point["step"] for point in second["points"]] == [2]
    third = client.get(f"/api/runs/{queued.run_id}/live", params={"after": second["cursor"]}).json()
    assert third["points"] == []


def test_series_of_several_runs(client, queued):
    (queued.folder / "metrics.jsonl").write_text("".join(f'{{"type": "train", "step": {i}, "loss": 1.0}}\n' for i in range(500)))
    answer = client.get("/api/runs/series", params={"ids": queued.run_id, "max": 50}).json()
    assert 2 <= len(answer[queued.run_id]["train"]) <= 50


def test_the_watch_list_after_the_cursor_only(client, queued):
    path = queued.folder / "evaluations" / "watch.jsonl"
    path.parent.mkdir()
    path.write_text('{"step": 0, "matrix": [[1]]}\n')
    first = client.get(f"/api/runs/{queued.run_id}/watch").json()
    assert [point["step"] for point in first["points"]] == [0] and first["texts"] == []
    assert client.get(f"/api/runs/{queued.run_id}/live").json()["watch"] == path.stat().st_size
    again = client.get(f"/api/runs/{queued.run_id}/watch", params={"after": first["cursor"]}).json()
    assert again["points"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs/nothing",
        "/api/runs/nothing/watch",
        "/api/runs/nothing/live",
        "/api/runs/20260101-000000-aaaa",
        "/api/runs/..%2f..%2fetc/live",
    ],
)
def test_a_run_that_is_not_there_is_404_in_words(client, path):
    answer = client.get(path)
    assert answer.status_code == 404


def test_an_unknown_run_is_named(client):
    answer = client.get("/api/runs/nothing")
    assert "nothing" in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_stop_is_a_post_from_the_own_page(client, queued, home):
    path = f"/api/runs/{queued.run_id}/stop"
    assert client.get(path).status_code in {404, 405}
    assert client.post(path, json={"keep": "none"}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert get_run(queued.run_id, home).status == "queued"
    assert client.post(path, json={"keep": "everything"}).status_code == 422
    assert client.post(path, json={"keep": "none"}, headers={"Origin": "http://127.0.0.1"}).status_code == 200
    assert get_run(queued.run_id, home).status == "stopped"


def test_the_page_and_its_files_come_from_here(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "Embedding Workbench" in page.text
    assert client.get("/wb-static/workbench.css").headers["content-type"].startswith("text/css")
    script = client.get("/wb-static/plotly.min.js")
    assert "plotly.js" in script.text[:200]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/monitoring", "/wb-static/../application.py"])
def test_nothing_else_is_offered(client, path):
    answer = client.get(path)
    assert answer.status_code >= 400 or "create_app" not in answer.text
    assert not answer.headers["content-type"].startswith("application/json") or answer.status_code >= 400


def test_a_foreign_host_or_origin_is_refused_before_gradio(client):
    assert client.get("/config", headers={"Host": "evil.example"}).status_code == 400
    assert client.post("/gradio_api/queue/join", json={}, headers={"Origin": "http://evil.example"}).status_code == 403


def test_an_event_of_the_page_is_no_public_endpoint(client):
    named = client.get("/gradio_api/info").json()["named_endpoints"]
    assert named == {}
