import io
import os
import threading

import numpy as np
import pytest

from workbench.errors import ModelError
from workbench.playground import encoder
from workbench.playground.encoder import LoadedModels, RememberedVectors, encode_in_parts, serve
from workbench.playground.wire import read_frame, write_frame


class ToyModel:
    def __init__(self, name, device):
        self.name, self.device = name, device

    def encode(self, texts):
        if self.name == "defect":
            raise ValueError("boom\nsecond line")
        if self.name == "large":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return np.array([[len(text), 1.5] for text in texts], dtype=np.float64).reshape(-1, 2)


class Shelf:
    """Loads toy models and remembers which."""

    def __init__(self, budget=100, gpu=False):
        self.loads = []
        self.gpu = gpu
        self.models = LoadedModels(self.load, lambda model: 40, budget, lambda: gpu)

    def load(self, name, device):
        if name == "missing":
            raise ModelError("There is no base model 'missing'.", field="base")
        self.loads.append(name)
        return ToyModel(name, "cuda:0" if self.gpu and device == "auto" else "cpu")


def test_the_least_recently_used_model_makes_room():
    shelf = Shelf(budget=100)
    for name in ("a", "b", "a", "c"):
        shelf.models.get(name, "auto")
    assert shelf.models.names == ["a", "c"]
    shelf.models.get("b", "auto")
    assert shelf.models.names == ["c", "b"]
    assert shelf.loads == ["a", "b", "c", "b"]


def test_a_model_larger_than_the_budget_stays_while_it_is_used():
    shelf = Shelf(budget=10)
    shelf.models.get("a", "auto")
    assert shelf.models.names == ["a"]
    shelf.models.get("b", "auto")
    assert shelf.models.names == ["b"]


def test_a_model_leaves_the_gpu_when_a_run_wants_it():
    shelf = Shelf(gpu=True)
    assert shelf.models.get("a", "auto").device == "cuda:0"
    assert shelf.models.get("a", "cpu").device == "cpu"
    assert not shelf.models.on_gpu
    assert shelf.models.get("a", "auto").device == "cuda:0", "it comes back after the run"
    assert shelf.models.get("a", "auto").device == "cuda:0"
    assert shelf.loads == ["a", "a", "a"]
    shelf.models.get("b", "cpu")
    shelf.models.leave_gpu()
    assert shelf.models.names == ["b"]


def test_without_a_gpu_a_model_stays_where_it_is():
    shelf = Shelf()
    for device in ("auto", "cpu", "auto"):
        assert shelf.models.get("a", device).device == "cpu"
    assert shelf.loads == ["a"]


def test_an_idle_process_leaves_the_gpu_as_soon_as_a_run_wants_it(monkeypatch):
    monkeypatch.setattr(encoder, "LOOK_SECONDS", 0.01)
    shelf, looked = Shelf(gpu=True), []
    shelf.models.get("a", "auto")
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as questions, os.fdopen(writing, "wb") as page:

        def wanted():
            looked.append(shelf.models.on_gpu)
            if len(looked) == 3:
                threading.Timer(0.05, page.close).start()
            return len(looked) == 3

        serve(questions, io.BytesIO(), shelf.models, idle_seconds=60, wanted=wanted)
    assert looked == [True, True, True], "no one looks where there is nothing to leave"
    assert shelf.models.names == []


def test_a_folder_whose_weights_changed_is_loaded_again(tmp_path):
    shelf = Shelf()
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"1")
    os.utime(weights, ns=(1, 1))
    shelf.models.get(str(tmp_path), "auto")
    shelf.models.get(str(tmp_path), "auto")
    assert len(shelf.loads) == 1
    os.utime(weights, ns=(2, 2))
    shelf.models.get(str(tmp_path), "auto")
    assert len(shelf.loads) == 2
    assert shelf.models.names == [str(tmp_path)]


def ask(shelf, *requests):
    questions, answers = io.BytesIO(), io.BytesIO()
    for model, texts in requests:
        write_frame(questions, {"model": model, "texts": texts, "device": "auto"})
    questions.seek(0)
    serve(questions, answers, shelf.models)
    answers.seek(0)
    frames = iter(lambda: read_frame(answers), None)
    return [frame for frame in frames if "stage" not in frame[0]]


def test_vectors_travel_as_float32_row_by_row():
    (first, second) = ask(Shelf(), ("a", ["x", "four"]), ("a", []))
    assert first[0] == {"rows": 2, "width": 2}
    assert np.frombuffer(first[1], "<f4").tolist() == [1, 1.5, 4, 1.5]
    assert second == ({"rows": 0, "width": 2}, b"")


def test_one_request_that_fails_does_not_end_the_others(capsys):
    answers = ask(Shelf(), ("missing", ["x"]), ("defect", ["x"]), ("large", ["x"]), ("a", ["x"]))
    texts = [header.get("error", "") for header, _ in answers]
    assert texts[0] == "There is no base model 'missing'." and answers[0][0]["kind"] == "ModelError"
    assert "could not encode the texts (ValueError: boom second line)" in texts[1]
    assert "memory does not suffice for 'large'" in texts[2]
    assert answers[3][0]["rows"] == 1
    assert not any("Traceback" in text or "\n" in text for text in texts)
    assert "ValueError: boom" in capsys.readouterr().err


def test_a_page_that_went_away_ends_the_process():
    class Closed(io.BytesIO):
        def write(self, data):
            raise BrokenPipeError

    questions = io.BytesIO()
    write_frame(questions, {"model": "a", "texts": ["x"], "device": "auto"})
    questions.seek(0)
    serve(questions, Closed(), Shelf().models)


@pytest.mark.parametrize("data", [b"", b"not a frame"])
def test_a_request_that_is_none_ends_the_process(data, capsys):
    serve(io.BytesIO(data), io.BytesIO(), Shelf().models)


def frames_of(shelf, *requests):
    """Every frame, words on how far it is included."""
    questions, answers = io.BytesIO(), io.BytesIO()
    for request in requests:
        write_frame(questions, {"device": "auto", **request})
    questions.seek(0)
    serve(questions, answers, shelf.models)
    answers.seek(0)
    return list(iter(lambda: read_frame(answers), None))


def test_a_corpus_is_encoded_once_and_searched_often():
    encoded = []

    class Counting(ToyModel):
        def encode(self, texts):
            encoded.extend(texts)
            return super().encode(texts)

    shelf = Shelf()
    shelf.models = LoadedModels(Counting, lambda model: 40, 100)
    corpus = ["aa", "b", "cccc"]
    request = {"op": "search", "model": "a", "texts": corpus}
    _, first, second = frames_of(shelf, {**request, "queries": ["dd"]}, {**request, "queries": ["e", "dd"]})
    assert not first[0]["remembered"] and second[0]["remembered"]
    assert encoded == ["aa", "b", "cccc", "dd", "e", "dd"]
    scores = np.frombuffer(second[1], "<f4").reshape(2, 3)
    assert scores[1, 0] == pytest.approx(1) and scores[1].argmax() == 0 and scores[0].argmax() == 1
    assert set(second[0]) == {"rows", "width", "encode_seconds", "search_seconds", "remembered"}
    other = frames_of(shelf, {**request, "texts": ["aa", "bc", "ccc"], "queries": ["dd"]})
    assert not other[-1][0]["remembered"], "other texts, even of the same letters, are another corpus"


def test_vectors_are_forgotten_with_the_least_recently_used_first():
    vectors = np.zeros((10, 10), dtype=np.float32)
    remembered = RememberedVectors(budget=1000)
    keys = [("a", 0, bytes([number])) for number in range(3)]
    remembered.put(keys[0], vectors)
    remembered.put(keys[1], vectors)
    assert remembered.get(keys[0]) is not None
    remembered.put(keys[2], vectors)
    assert [remembered.get(key) is not None for key in keys] == [True, False, True]
    remembered.put(("b", 0, b""), np.zeros((100, 10), dtype=np.float32))
    assert remembered.get(("b", 0, b"")) is None and remembered.get(keys[2]) is not None


def test_how_far_it_is_is_said_and_the_order_is_kept():
    texts = ["x" * length for length in (5, 1, 4, 2, 3)]
    said = []
    vectors = encode_in_parts(ToyModel("a", "cpu"), texts, said.append, at_once=2)
    assert vectors[:, 0].tolist() == [5, 1, 4, 2, 3] and vectors.dtype == np.float32
    assert said == [{"stage": "encoding", "done": done, "total": 5} for done in (0, 2, 4)]
    frames = frames_of(
        Shelf(), {"model": "a", "texts": ["x"]}, {"op": "project", "model": "a", "texts": ["x", "yy"], "method": "pca"}
    )
    assert [header.get("stage") for header, _ in frames] == ["loading", None, "projecting", None]
    assert frames[-1][0]["rows"] == 2 and len(frames[-1][0]["shares"]) == 2


def test_tokens_are_counted_once_and_texts_read_alike_are_named():
    from workbench.models import TokenCounts

    counted = []

    class Reader(ToyModel):
        def tokenize(self, texts):
            return [[len(text.split()[0])] for text in texts]

        def count_tokens(self, texts):
            counted.append(len(texts))
            none = np.zeros(len(texts), dtype=np.int64)
            return TokenCounts(4, 2, none + 3, none, none.astype(bool))

    shelf = Shelf()
    shelf.models = LoadedModels(Reader, lambda model: 40, 100)
    request = {"op": "count", "model": "a", "texts": ["one x", "two y", "three", "three "]}
    _, (first, _), (second, _) = frames_of(shelf, request, request)
    assert first == second and counted == [4]
    assert first["alike"] == [[0, 1]], "a space is no difference"
    assert TokenCounts.from_dict(first["counts"]).summary()["texts"] == 4
