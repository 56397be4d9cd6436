"""A file of the server's machine that a request names by path is not read, whichever way the request comes."""

import json

import pytest
from starlette.testclient import TestClient

from workbench.ui import create_app

SECRET = "no one else's business"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("by-path") / "home"


@pytest.fixture(scope="module")
def client(home):
    from workbench.settings import Settings

    app = create_app(Settings(home=home, needs_token=False))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def events(client):
    """The events of the page that take a file, and one that takes texts."""
    config = client.get("/config").json()
    types = {component["id"]: component["type"] for component in config["components"]}
    found = {}
    for event in config["dependencies"]:
        kinds = [types[identifier] for identifier in event["inputs"]]
        if set(kinds) & {"file", "uploadbutton"} and event["backend_fn"]:
            found[event["id"]] = kinds
        elif "textbox" in kinds and event["backend_fn"] and "texts" not in found:
            found["texts"] = (event["id"], kinds)
    texts = found.pop("texts")
    assert len(found) >= 4, "the fields for data, test rows, texts and recipes"
    return [*found.items(), texts]


def named(path):
    return {"path": str(path), "orig_name": "pairs.csv", "size": 9, "mime_type": "text/csv", "meta": {"_type": "gradio.FileData"}}


def bodies(event, kinds, path):
    yield {"data": [named(path) if kind in {"file", "uploadbutton", "textbox"} else None for kind in kinds], "fn_index": event}
    yield {"data": [[named(path)] if kind in {"file", "uploadbutton"} else None for kind in kinds], "fn_index": event}


def attack(client, body, name):
    """Ask in every way Gradio offers; return all that was answered."""
    session = {"session_hash": name}
    said = [client.post("/gradio_api/queue/join", json={**body, **session})]
    if said[0].status_code == 200:
        said.append(client.get("/gradio_api/queue/data", params=session))
    for path in ("run/predict", "api/predict", f"call/{body['fn_index']}", f"run/{body['fn_index']}"):
        said.append(client.post(f"/gradio_api/{path}", json={**body, **session}))
    return "\n".join(answer.text for answer in said)


@pytest.mark.parametrize("place", ["outside", "home", "/etc/passwd"])
def test_a_file_named_by_path_is_refused(client, events, home, tmp_path, place):
    secret = {"outside": tmp_path / "secret.csv", "home": home / "secret.csv"}.get(place, "/etc/passwd")
    if place != "/etc/passwd":
        secret.write_text(f"sentence1,sentence2,score\n{SECRET},b,1\n", encoding="utf-8")
    for event, kinds in events:
        for number, body in enumerate(bodies(event, kinds, secret)):
            said = attack(client, body, f"{place}-{event}-{number}")
            assert SECRET not in said and "root:" not in said
            if "textbox" not in kinds and number == 0:
                assert "was not uploaded by a user" in json.dumps(said)
    assert client.get(f"/gradio_api/file={secret}").status_code in {403, 404}
    copies = [path for path in (home / "cache").rglob("*") if path.is_file()]
    assert [path for path in copies if SECRET in path.read_text(errors="replace") or path.name == "passwd"] == []
    assert not (home / "uploads").exists()


def test_what_was_uploaded_is_taken(client, events, home):
    sent = client.post("/gradio_api/upload", files={"files": ("pairs.csv", b"sentence1,sentence2,score\na,b,1\n", "text/csv")})
    (path,) = sent.json()
    said = [attack(client, next(bodies(event, kinds, path)), f"uploaded-{event}") for event, kinds in events[:-1]]
    assert len(list((home / "uploads").iterdir())) >= 1, said
