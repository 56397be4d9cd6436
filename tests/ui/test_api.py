import json

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
    assert client.get("/api/runs").json() == {"runs": [], "next": None}


def test_a_run_is_listed_and_shown(client, queued):
    (listed,) = client.get("/api/runs").json()["runs"]
    assert listed["run_id"] == queued.run_id
    shown = client.get(f"/api/runs/{queued.run_id}").json()
    assert (shown["name"], shown["status"], shown["kind"]) == ("Wörter", "queued", "train")


@pytest.fixture
def many(home):
    """Runs in the history, with results that lists do not show."""
    from workbench.runs import store
    from workbench.runs.database import open_database

    names = [f"20260101-000000-{number:04d}" for number in range(7)]
    with open_database(home) as connection:
        for name in names:
            store.insert(connection, name, name, "mini", "data", held=True)
            verdict, result = {"outcome": "better", "sentence": "long " * 100}, {"much": "x" * 2000}
            values = [json.dumps(value) for value in (result, verdict, {"after": {"a": 1.0}})]
            connection.execute("UPDATE runs SET result = ?, verdict = ?, metrics = ? WHERE run_id = ?", (*values, name))
    return names[::-1]


def test_the_history_is_read_in_pages_the_newest_first(client, many):
    found, before, pages = [], "", 0
    while before is not None:
        answer = client.get("/api/runs", params={"limit": 3, "before": before}).json()
        found += [run["run_id"] for run in answer["runs"]]
        before, pages = answer["next"], pages + 1
    assert (found, pages) == (many, 3)
    assert client.get("/api/runs", params={"limit": 7}).json()["next"] is None
    for limit, length in [(0, 1), (-5, 1), (10**30, 7)]:
        assert len(client.get("/api/runs", params={"limit": limit}).json()["runs"]) == length


def test_a_list_holds_what_lists_show(client, many):
    answer = client.get("/api/runs")
    (first, *_) = answer.json()["runs"]
    assert (first["outcome"], first["metrics"], first["active"], first["status"]) == (
        "better",
        {"after": {"a": 1.0}},
        True,
        "queued",
    )
    assert not {"result", "verdict", "facts"} & set(first)
    assert len(answer.content) < 600 * len(many)


def test_a_page_goes_on_where_the_one_before_ended_whatever_came_or_went(client, many, home):
    from workbench.runs import delete_run, request_stop

    first = client.get("/api/runs", params={"limit": 2}).json()
    request_stop(first["runs"][1]["run_id"], home)
    delete_run(first["runs"][1]["run_id"], home)
    rest = client.get("/api/runs", params={"before": first["next"]}).json()["runs"]
    assert [run["run_id"] for run in rest] == many[2:]


@pytest.mark.parametrize("before", ["x", "-1", "1 OR 1=1", "0", "9" * 40, "20260101-000000-0001"])
def test_a_cursor_that_is_none_is_a_sentence(client, many, before):
    answer = client.get("/api/runs", params={"before": before})
    assert answer.status_code == 404 and "`next`" in answer.json()["error"]


@pytest.mark.parametrize(
    "body", [{"keep": "everything"}, {"keep": 1e300}, {"keep": ["best"] * 1000}, {"keep": {"a": "ä"}}, [], "best", None]
)
def test_a_body_of_the_wrong_shape_is_a_sentence(client, queued, body):
    answer = client.post(f"/api/runs/{queued.run_id}/stop", json=body)
    assert answer.status_code == 422
    assert isinstance(answer.json()["error"], str) and len(answer.content) < 500


@pytest.mark.parametrize("body", ['{"keep": NaN}', '{"keep": "\\ud800"}', "[" * 5000, "\x00"])
def test_a_body_that_cannot_be_read_is_a_sentence(client, queued, body):
    for path in (f"/api/runs/{queued.run_id}/stop", "/gradio_api/queue/join", f"/api/runs/{queued.run_id}/corrections"):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and "cannot be read" in answer.json()["error"]


@pytest.mark.parametrize("query", ["max=nan", "max=1e999", "max=" + "9" * 5000])
def test_a_number_that_is_none_is_a_sentence(client, query):
    answer = client.get(f"/api/runs/series?{query}")
    assert answer.status_code == 422 and answer.json()["error"].startswith("`max` cannot be used")


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
