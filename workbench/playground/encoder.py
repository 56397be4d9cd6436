"""The encoder process: `python -m workbench.playground.encoder --home H --memory-budget BYTES`.

Reads requests from stdin and answers on what was stdout; ends when stdin closes, so it never outlives the page. Before an answer it
may say how far it is, in frames that hold nothing but `stage`.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import queue
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError, is_out_of_memory
from workbench.playground.gpu import gpu_is_taken
from workbench.playground.vectors import Vectors, cosines
from workbench.playground.wire import WireError, read_frame, write_frame

if TYPE_CHECKING:
    from workbench.models import SentenceTransformer

IDLE_SECONDS = 60.0
"""After so long without a request, models on a GPU are dropped: another program may want its memory."""

LOOK_SECONDS = 1.0
"""How often an idle process with a model on a GPU looks whether a run wants that; loading torch alone takes a run longer."""

VECTORS_BUDGET = 512 << 20
"""Bytes of remembered sentence vectors."""

KEPT_COUNTS = 32
"""Counts of texts that are remembered; those of 50,000 texts take some MB."""

ALIKE_TEXTS = 1_000
"""Texts among which those are looked for that a model reads alike."""

TEXTS_AT_ONCE = 256
"""Texts encoded between two words on how far it is."""

StageCallback = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class _Loaded:
    model: Any
    size: int
    on_cpu: bool
    held_back: bool


class LoadedModels:
    """Models in memory, the least recently used dropped first.

    Args:
        load: Loads a model by name and device; the model says its `device`.
        measure: Returns the bytes a model takes.
        budget: Bytes that all of them together may take; the one in use stays even where it alone takes more.
        has_gpu: Returns whether `auto` is a GPU here.
    """

    def __init__(
        self,
        load: Callable[[str, str], Any],
        measure: Callable[[Any], int],
        budget: int,
        has_gpu: Callable[[], bool] = lambda: False,
    ) -> None:
        self._load = load
        self._measure = measure
        self._budget = budget
        self._has_gpu = has_gpu
        self._loaded: OrderedDict[tuple[str, int], _Loaded] = OrderedDict()

    def get(self, name: str, device: str) -> Any:
        """Return a model, loading it where it is not in memory, its files have changed since, or it is on the wrong device.

        On a GPU where it must not be, or kept off the GPU by a run that is over.

        Args:
            name: What to load.
            device: `cpu`, or `auto` for a GPU if there is one.
        """
        key = (name, _changed_at(name))
        found = self._loaded.get(key)
        held_back = device == "cpu" and self._has_gpu()
        if found is None or (device == "cpu" and not found.on_cpu) or (device != "cpu" and found.held_back):
            self._drop([other for other in self._loaded if other[0] == name])
            model = self._load(name, device)
            found = self._loaded[key] = _Loaded(model, self._measure(model), str(model.device) == "cpu", held_back)
        self._loaded.move_to_end(key)
        while len(self._loaded) > 1 and sum(each.size for each in self._loaded.values()) > self._budget:
            self._drop([next(iter(self._loaded))])
        return found.model

    def leave_gpu(self) -> None:
        """Drop all models that are not on the CPU."""
        self._drop([key for key, each in self._loaded.items() if not each.on_cpu])

    @property
    def on_gpu(self) -> bool:
        """Whether a model is not on the CPU."""
        return any(not each.on_cpu for each in self._loaded.values())

    @property
    def names(self) -> list[str]:
        """The models in memory, the least recently used first."""
        return [name for name, _ in self._loaded]

    def _drop(self, keys: list[tuple[str, int]]) -> None:
        for key in keys:
            del self._loaded[key]
        if keys:
            _free_memory()


class RememberedVectors:
    """Vectors of texts that were encoded before, the least recently used dropped first.

    Args:
        budget: Bytes that all of them together may take; what alone takes more is not remembered.
    """

    def __init__(self, budget: int = VECTORS_BUDGET) -> None:
        self._budget = budget
        self._known: OrderedDict[tuple[str, int, bytes], Vectors] = OrderedDict()

    def get(self, key: tuple[str, int, bytes]) -> Vectors | None:
        """Return what is remembered, None where nothing is."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, key: tuple[str, int, bytes], vectors: Vectors) -> None:
        """Remember vectors."""
        if vectors.nbytes > self._budget:
            return
        self._known[key] = vectors
        while sum(each.nbytes for each in self._known.values()) > self._budget:
            self._known.popitem(last=False)


def serve(
    requests: BinaryIO,
    answers: BinaryIO,
    models: LoadedModels,
    idle_seconds: float = IDLE_SECONDS,
    wanted: Callable[[], bool] = lambda: False,
) -> None:
    """Answer requests until the other side closes its end.

    Args:
        requests: Where they come from.
        answers: Where the answers go.
        models: Loads and remembers models.
        idle_seconds: After so long without a request, models that are not on the CPU are dropped.
        wanted: Returns whether a run wants the GPU; they are dropped then, too.
    """
    waiting: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue()
    threading.Thread(target=_read_all, args=(requests, waiting), daemon=True).start()
    handler = RequestHandler(models, lambda stage: write_frame(answers, stage))
    idle = 0.0
    while True:
        patience = min(LOOK_SECONDS, idle_seconds) if models.on_gpu else idle_seconds
        try:
            frame = waiting.get(timeout=patience)
        except queue.Empty:
            idle += patience
            if idle >= idle_seconds or wanted():
                models.leave_gpu()
            continue
        idle = 0.0
        if frame is None:
            return
        try:
            header, payload = handler.answer(frame[0])
        except Exception as error:
            header, payload = describe_error(error, frame[0]), b""
            _free_memory()
        try:
            write_frame(answers, header, payload)
        except OSError:  # the page is gone
            return


def _read_all(requests: BinaryIO, waiting: queue.Queue[tuple[dict[str, Any], bytes] | None]) -> None:
    try:
        while (frame := read_frame(requests)) is not None:
            waiting.put(frame)
    except (WireError, OSError):
        traceback.print_exc()
    waiting.put(None)


class RequestHandler:
    """Answers one request after another.

    Args:
        models: Loads and remembers models.
        say: Is told how far the answer is.
    """

    def __init__(self, models: LoadedModels, say: StageCallback) -> None:
        self._models = models
        self._say = say
        self._vectors = RememberedVectors()
        self._counts: OrderedDict[tuple[str, int, bytes], dict[str, Any]] = OrderedDict()
        self._qualities: dict[tuple[str, int, str, int | None], dict[str, Any]] = {}

    def answer(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return a frame: what `op` asks for.

        Raises:
            WorkbenchError: If the model or the texts cannot be used.
        """
        if request.get("device") == "cpu":
            self._models.leave_gpu()
        match request.get("op", "encode"):
            case "start":
                import workbench.models.sentence_transformer  # noqa: F401  brings torch, which is what takes seconds

                return {}, b""
            case "search":
                return self._search(request)
            case "project":
                return self._project(request)
            case "sizes":
                from workbench.playground.sizes import measure_sizes

                return {"sizes": [size.to_dict() for size in measure_sizes(self._encode(request, request["texts"])[0])]}, b""
            case "quality":
                return self._quality(request), b""
            case "count":
                return self._count(request), b""
            case "contributions":
                from workbench.playground.contributions import contributions

                return contributions(self._model(request), *request["texts"]), b""
            case "dry_pass":
                from workbench.playground.dry_pass import DryPassRequest
                from workbench.playground.network_probe import run_dry_pass

                return run_dry_pass(DryPassRequest.from_dict(request)).to_dict(), b""
        return _as_frame(self._encode(request, request["texts"])[0])

    def _search(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        started = time.perf_counter()
        corpus, remembered = self._encode(request, request["texts"])
        encoded = time.perf_counter()
        queries, _ = self._encode(request, request["queries"])
        header, payload = _as_frame(cosines(queries, corpus))
        seconds = {"encode_seconds": encoded - started, "search_seconds": time.perf_counter() - encoded}
        return {**header, **seconds, "remembered": remembered}, payload

    def _project(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        from workbench.playground.projection import project

        vectors, _ = self._encode(request, request["texts"])
        self._say({"stage": "projecting"})
        points, shares = project(vectors, request["method"])
        header, payload = _as_frame(points)
        return {**header, "shares": shares}, payload

    def _quality(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return how good the model is by size of its vectors, measured once; the test rows of a run never change."""
        from workbench.evaluation import build_evaluator
        from workbench.playground.quality import measure_quality
        from workbench.runs.test_rows import read_test_part

        name, limit = request["model"], request["max_seq_length"]
        key = (name, _changed_at(name), request["folder"], limit)
        if key not in self._qualities:
            part = read_test_part(Path(request["folder"]))
            model = self._model(request)
            own_limit = model.max_seq_length
            model.max_seq_length = limit or own_limit
            try:
                quality = measure_quality(
                    build_evaluator(part.kind, part.columns, part.labels),
                    lambda texts: encode_as_in_a_run(model, texts, self._say),
                    lambda done, total: self._say({"stage": "measuring", "done": done, "total": total}),
                )
            finally:
                model.max_seq_length = own_limit
            self._qualities[key] = quality.to_dict()
        return self._qualities[key]

    def _count(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return how much of the texts the model reads, and which of them it reads alike; counted once."""
        from workbench.playground.matrix import find_read_alike

        name, texts = request["model"], request["texts"]
        key = (name, _changed_at(name), _digest(texts))
        if key not in self._counts:
            model = self._model(request)
            few = texts[:ALIKE_TEXTS]
            alike = find_read_alike(few, model.tokenize(few))
            self._counts[key] = {"counts": model.count_tokens(texts).to_dict(), "alike": alike}
            while len(self._counts) > KEPT_COUNTS:
                self._counts.popitem(last=False)
        return self._counts[key]

    def _model(self, request: Mapping[str, Any]) -> Any:
        name = request["model"]
        if name not in self._models.names:
            self._say({"stage": "loading"})
        return self._models.get(name, request["device"])

    def _encode(self, request: Mapping[str, Any], texts: Sequence[str]) -> tuple[Vectors, bool]:
        """Return the vectors of texts, and whether they were remembered."""
        name = request["model"]
        key = (name, _changed_at(name), _digest(texts))
        found = self._vectors.get(key)
        if found is not None:
            return found, True
        vectors = encode_in_parts(self._model(request), texts, self._say)
        self._vectors.put(key, vectors)
        return vectors, False


def encode_as_in_a_run(model: SentenceTransformer, texts: Sequence[str], say: StageCallback) -> Vectors:
    """Return the vectors that a run measures: the same texts are computed together, so that the last digit is the same, too.

    Args:
        model: The model.
        texts: In the order in which the run encoded them.
        say: Is told how many are done.
    """
    from workbench.evaluation import encode_batch

    together = encode_batch(model.device.type)
    prefix = model.prompts.get(model.default_prompt_name or "", "")
    lengths = [len(ids) for ids in model.tokenize([prefix + text for text in texts])]
    at_once = max(TEXTS_AT_ONCE, together)
    assert at_once % together == 0, "a part ends where a batch does"
    return encode_in_parts(model, texts, say, at_once, lengths=lengths, batch_size=together)


def encode_in_parts(
    model: Any,
    texts: Sequence[str],
    say: StageCallback,
    at_once: int = TEXTS_AT_ONCE,
    lengths: Sequence[int] | None = None,
    **options: Any,
) -> Vectors:
    """Return the vectors of texts, in their order, saying how far it is after every part.

    Args:
        model: Has `encode(texts)`.
        texts: In any order; short ones are encoded first, since texts of like length are the cheapest together.
        say: Is told how many are done.
        at_once: Texts of a part.
        lengths: How long each text is; None counts letters.
        options: Are returned to `encode`.
    """
    if len(texts) <= at_once:
        return np.asarray(model.encode(list(texts), **options), dtype=np.float32)
    sizes = [len(text) for text in texts] if lengths is None else lengths
    order = sorted(range(len(texts)), key=sizes.__getitem__)
    vectors: NDArray[np.float32] | None = None
    for start in range(0, len(order), at_once):
        say({"stage": "encoding", "done": start, "total": len(order)})
        chosen = order[start : start + at_once]
        part = np.asarray(model.encode([texts[index] for index in chosen], **options), dtype=np.float32)
        if vectors is None:
            vectors = np.empty((len(texts), part.shape[1]), dtype=np.float32)
        vectors[chosen] = part
    assert vectors is not None
    return vectors


def _as_frame(numbers: NDArray[Any]) -> tuple[dict[str, Any], bytes]:
    """Return a matrix as a frame: its shape, and float32 numbers row by row."""
    return {"rows": numbers.shape[0], "width": numbers.shape[1]}, numbers.astype("<f4").tobytes()


def _digest(texts: Sequence[str]) -> bytes:
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


def describe_error(error: Exception, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error as a frame's header: one sentence, never a traceback."""
    if isinstance(error, WorkbenchError):
        return {"error": error.message, "kind": type(error).__name__, "field": error.field}
    traceback.print_exception(error)
    text, model = " ".join(str(error).split())[:300], request.get("model")
    message = f"The model {model!r} could not encode the texts ({type(error).__name__}: {text})."
    if is_out_of_memory(error):
        message = f"The memory does not suffice for {model!r}; choose a smaller model or fewer texts."
    return {"error": message, "kind": "RunError", "field": None}


def _changed_at(name: str) -> int:
    """Return when a folder's weights or layers were last written, 0 for what is no folder."""
    folder = Path(name)
    files = (folder / "model.safetensors", folder / "modules.json", folder / "config.json")
    return max((file.stat().st_mtime_ns for file in files if file.is_file()), default=0)


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _load(name: str, device: str) -> SentenceTransformer:
    from workbench.models import SentenceTransformer
    from workbench.models.attention_gpu import leave_cudnn_out

    leave_cudnn_out()
    return SentenceTransformer(name, device=None if device == "auto" else device)


def _has_gpu() -> bool:
    from workbench.models.sentence_transformer import best_device

    return best_device().type != "cpu"


def _measure(model: SentenceTransformer) -> int:
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())


def main(arguments: list[str] | None = None) -> int:
    """Serve this process's stdin."""
    parser = argparse.ArgumentParser(
        "python -m workbench.playground.encoder", description="Encodes texts for the page that starts it."
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--memory-budget", type=int, required=True)
    options = parser.parse_args(arguments)
    # Libraries print where they like; only this file may write on the pipe.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        models = LoadedModels(_load, _measure, options.memory_budget, _has_gpu)
        serve(sys.stdin.buffer, answers, models, wanted=lambda: gpu_is_taken(options.home))
    return 0


if __name__ == "__main__":
    sys.exit(main())
