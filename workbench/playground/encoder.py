"""The encoder process: `python -m workbench.playground.encoder --memory-budget BYTES`.

Reads requests from stdin and answers on what was stdout; ends when stdin closes, so it never outlives the page.
"""

from __future__ import annotations

import argparse
import gc
import os
import queue
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from workbench.errors import WorkbenchError
from workbench.playground.wire import WireError, read_frame, write_frame

if TYPE_CHECKING:
    from workbench.models import SentenceTransformer

DRY_PASS = "dry_pass"
"""The `kind` of a request that passes rows through a network that is not trained yet."""

IDLE_SECONDS = 60.0
"""After so long without a request, models on a GPU are dropped: a run may want its memory."""


@dataclass(frozen=True)
class _Loaded:
    model: Any
    size: int
    on_cpu: bool


class LoadedModels:
    """Models in memory, the least recently used dropped first.

    Args:
        load: Loads a model by name and device; the model says its `device`.
        measure: Returns the bytes a model takes.
        budget: Bytes that all of them together may take; the one in use stays even where it alone takes more.
    """

    def __init__(self, load: Callable[[str, str], Any], measure: Callable[[Any], int], budget: int) -> None:
        self._load = load
        self._measure = measure
        self._budget = budget
        self._loaded: OrderedDict[tuple[str, int], _Loaded] = OrderedDict()

    def get(self, name: str, device: str) -> Any:
        """Return a model, loading it where it is not in memory, its files have changed since, or it is on a GPU and must not be.

        Args:
            name: What to load.
            device: `cpu`, or `auto` for a GPU if there is one.
        """
        key = (name, _changed_at(name))
        found = self._loaded.get(key)
        if found is None or (device == "cpu" and not found.on_cpu):
            self._drop([other for other in self._loaded if other[0] == name])
            model = self._load(name, device)
            found = self._loaded[key] = _Loaded(model, self._measure(model), str(model.device) == "cpu")
        self._loaded.move_to_end(key)
        while len(self._loaded) > 1 and sum(each.size for each in self._loaded.values()) > self._budget:
            self._drop([next(iter(self._loaded))])
        return found.model

    def leave_gpu(self) -> None:
        """Drop all models that are not on the CPU."""
        self._drop([key for key, each in self._loaded.items() if not each.on_cpu])

    @property
    def names(self) -> list[str]:
        """The models in memory, the least recently used first."""
        return [name for name, _ in self._loaded]

    def _drop(self, keys: list[tuple[str, int]]) -> None:
        for key in keys:
            del self._loaded[key]
        if keys:
            _free_memory()


def serve(requests: BinaryIO, answers: BinaryIO, models: LoadedModels, idle_seconds: float = IDLE_SECONDS) -> None:
    """Answer requests until the other side closes its end.

    Args:
        requests: Where they come from.
        answers: Where the answers go.
        models: Loads and remembers models.
        idle_seconds: After so long without a request, models that are not on the CPU are dropped.
    """
    waiting: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue()
    threading.Thread(target=_read_all, args=(requests, waiting), daemon=True).start()
    while True:
        try:
            frame = waiting.get(timeout=idle_seconds)
        except queue.Empty:
            models.leave_gpu()
            continue
        if frame is None:
            return
        try:
            header, payload = answer(frame[0], models)
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


def answer(request: Mapping[str, Any], models: LoadedModels) -> tuple[dict[str, Any], bytes]:
    """Return the answer to one request: its shape, and float32 numbers row by row.

    Raises:
        WorkbenchError: If the model or the texts cannot be used.
    """
    if request.get("kind") == DRY_PASS:
        from workbench.playground.dry_pass import DryPassRequest
        from workbench.playground.network_probe import run_dry_pass

        return run_dry_pass(DryPassRequest.from_dict(request)).to_dict(), b""
    device = request["device"]
    if device == "cpu":
        models.leave_gpu()
    vectors = models.get(request["model"], device).encode(request["texts"])
    return {"rows": vectors.shape[0], "width": vectors.shape[1]}, vectors.astype("<f4").tobytes()


def describe_error(error: Exception, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error as a frame's header: one sentence, never a traceback."""
    if isinstance(error, WorkbenchError):
        return {"error": error.message, "kind": type(error).__name__, "field": error.field}
    traceback.print_exception(error)
    text, model = " ".join(str(error).split())[:300], request.get("model")
    message = f"The model {model!r} could not encode the texts ({type(error).__name__}: {text})."
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "out of memory" in text:
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

    return SentenceTransformer(name, device=None if device == "auto" else device)


def _measure(model: SentenceTransformer) -> int:
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())


def main(arguments: list[str] | None = None) -> int:
    """Serve this process's stdin."""
    parser = argparse.ArgumentParser(
        "python -m workbench.playground.encoder", description="Encodes texts for the page that starts it."
    )
    parser.add_argument("--memory-budget", type=int, required=True)
    options = parser.parse_args(arguments)
    # Libraries print where they like; only this file may write on the pipe.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, answers, LoadedModels(_load, _measure, options.memory_budget))
    return 0


if __name__ == "__main__":
    sys.exit(main())
