"""The catalogue: folders, bundled names, and the Hub through a local stand-in."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from workbench.errors import ModelError
from workbench.models import describe_base, list_bases, resolve_base, search_hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_facts_of_a_plain_folder_are_those_of_the_loaded_model(tiny_bert: Path, home: Path) -> None:
    from workbench.models import Transformer

    info = describe_base(str(tiny_bert), home)
    encoder = Transformer(tiny_bert)
    assert (info.source, info.model_type, info.width, info.max_seq_length) == ("folder", "bert", 32, 64)
    assert info.num_parameters == sum(weight.numel() for name, weight in encoder.named_parameters() if "pooler" not in name)
    assert info.layers == ()


def test_facts_of_minilm(minilm: Path, home: Path) -> None:
    info = describe_base(str(minilm), home)
    assert (info.width, info.max_seq_length, info.max_positions) == (384, 256, 512)
    assert [layer.kind for layer in info.layers] == ["pooling", "normalize"]
    assert 22_000_000 < info.num_parameters < 23_000_000


def test_scratch_is_as_large_as_announced(sentences: list[str], home: Path) -> None:
    from workbench.models import build_scratch

    info = describe_base("scratch", home)
    encoder = build_scratch(sentences, 0)
    missing = info.vocab_size - len(encoder.tokenizer)
    assert sum(weight.numel() for weight in encoder.parameters()) == info.num_parameters - missing * info.width
    assert encoder.get_word_embedding_dimension() == info.width
    assert not info.pretrained


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nowhere", "no such folder"),
        ("/no/such/place", "no such folder"),
        ("not a name!", "no such folder"),
        ("", "no such folder"),
        ("someone/some-model", "Hub cannot be reached"),
    ],
)
def test_a_missing_base_is_one_sentence(name: str, message: str, home: Path) -> None:
    for look in (describe_base, resolve_base):
        with pytest.raises(ModelError, match=message):
            look(name, home)


def test_a_folder_without_a_model(tmp_path: Path, home: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        resolve_base(str(tmp_path), home)


def test_the_list_offers_folders_of_the_home(tiny_bert: Path, home: Path) -> None:
    import shutil

    shutil.copytree(tiny_bert, home / "models" / "house-model")
    entries = {entry.title: entry for entry in list_bases(home)}
    assert entries["house-model"].available
    assert resolve_base("house-model", home) == (home / "models" / "house-model").resolve()
    names = [entry.name for entry in list_bases(home)]
    assert "scratch" in names and any("/" in name for name in names)


def test_searching_offline_is_one_sentence() -> None:
    with pytest.raises(ModelError, match="Hub cannot be reached"):
        search_hub("minilm")


class _Hub(BaseHTTPRequestHandler):
    """The few answers of the Hub's HTTP API that a download and a search need."""

    folder: Path
    requested: list[str]

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.requested.append(path)
        files = sorted(file.relative_to(self.folder).as_posix() for file in self.folder.rglob("*") if file.is_file())
        if path == "/api/models":
            self._send(json.dumps([{"id": "team/tiny", "modelId": "team/tiny", "downloads": 1234}]).encode(), body)
        elif path.startswith("/api/models/team/tiny/tree/"):
            tree = [{"type": "file", "path": f, "size": (self.folder / f).stat().st_size, "oid": self._etag(f)} for f in files]
            self._send(json.dumps(tree).encode(), body)
        elif path.startswith("/api/models/team/tiny"):
            siblings = [{"rfilename": name} for name in files]
            self._send(
                json.dumps(
                    {"id": "team/tiny", "modelId": "team/tiny", "sha": COMMIT, "siblings": siblings, "private": False}
                ).encode(),
                body,
            )
        elif path.startswith(f"/team/tiny/resolve/{COMMIT}/") or path.startswith("/team/tiny/resolve/main/"):
            name = path.split("/", 5)[5]
            if name in files:
                self._send((self.folder / name).read_bytes(), body, {"ETag": f'"{self._etag(name)}"', "X-Repo-Commit": COMMIT})
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _etag(self, name: str) -> str:
        return hashlib.sha1((self.folder / name).read_bytes()).hexdigest()

    def _send(self, data: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


@pytest.fixture
def hub(tiny_bert: Path, tmp_path: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """A stand-in for the Hub with one model, `team/tiny`; yields the environment to use it and what was asked of it."""
    requested: list[str] = []
    handler = type("Hub", (_Hub,), {"folder": tiny_bert, "requested": requested})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    import os

    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "0",
    }
    environment["HF_HUB_DISABLE_XET"] = "1"
    yield environment, requested
    server.shutdown()
    server.server_close()


def run(program: str, environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


DESCRIBE = "from pathlib import Path; from workbench.models import describe_base; i = describe_base('team/tiny', Path('.')); print(i.source, i.width)"
LOAD = "from workbench import SentenceTransformer; print(SentenceTransformer('team/tiny', device='cpu').encode('a').shape)"
SEARCH = "from workbench.models import search_hub; print([e.name for e in search_hub('tiny')])"
MISSING = (
    "from pathlib import Path\nfrom workbench.models import describe_base\nfrom workbench.errors import ModelError\n"
    "try: describe_base('team/other', Path('.'))\nexcept ModelError as e: print(e.message)"
)


def test_a_hub_model_is_described_without_its_weights_then_loaded_then_cached(hub: tuple[dict[str, str], list[str]]) -> None:
    environment, requested = hub
    assert run(DESCRIBE, environment) == "hub 32"
    assert not any(path.endswith("tokenizer.json") for path in requested), "a description needs only small files"
    assert run(LOAD, environment) == "(32,)"
    assert run(SEARCH, environment) == "['team/tiny']"
    offline = {**environment, "HF_HUB_OFFLINE": "1"}
    requested.clear()
    assert run(DESCRIBE, offline) == "hub 32"
    assert run(LOAD, offline) == "(32,)"
    assert run(SEARCH, offline) == "['team/tiny']"
    assert requested == []


def test_a_name_the_hub_does_not_know(hub: tuple[dict[str, str], list[str]]) -> None:
    assert "no such model on the Hub" in run(MISSING, hub[0])
