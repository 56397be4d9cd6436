"""The page's end of the encoder process."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import psutil
from numpy.typing import NDArray

from workbench.errors import ConfigError, DataError, InputError, ModelError, RunError, WorkbenchError
from workbench.models.token_counts import TokenCounts
from workbench.playground.choices import resolve_encoder
from workbench.playground.dry_pass import DryPass, DryPassRequest
from workbench.playground.gpu import gpu_is_taken
from workbench.playground.quality import HeldOut, Quality
from workbench.playground.sizes import Size
from workbench.playground.wire import WireError, read_frame, write_frame
from workbench.runs.process import child_environment, module_command

LOG_FILE = "encoder.log"
_CLOSE_SECONDS = 5.0
_BUSY_SECONDS = 0.5

_ERRORS = {kind.__name__: kind for kind in (InputError, ConfigError, DataError, ModelError, RunError)}

Frame = tuple[dict[str, Any], bytes]

ProgressCallback = Callable[[str, Mapping[str, Any]], None]
"""Is told of which model, and `stage`: starting, waiting, loading, encoding or measuring (with `done`, `total`), or projecting."""


@dataclass(frozen=True)
class Found:
    """What a search gives.

    Attributes:
        scores: Cosine of every query with every text, float32 (queries, texts).
        encode_seconds: Time to encode the corpus; next to none where it was remembered.
        search_seconds: Time to encode the queries and compare them with every text.
        remembered: Whether the corpus had been encoded before.
    """

    scores: NDArray[np.float32]
    encode_seconds: float
    search_seconds: float
    remembered: bool


@dataclass(frozen=True)
class Read:
    """What a model reads of texts.

    Attributes:
        counts: Tokens read, cut off and unknown.
        alike: Pairs of different texts of which it reads the same.
    """

    counts: TokenCounts
    alike: list[tuple[int, int]]


class EncoderProcess:
    """Encodes texts in a child process, which is started at the first use and again after it died.

    Models stay in memory until others need the room. While a run is on the GPU, or waits for it, everything is computed on the CPU.
    May be used from several threads; requests wait for each other.

    Args:
        home: Folder of the workbench.
        timeout: Seconds without a word or an answer; the first answer of a Hub model includes its download.
        memory_budget: Bytes that loaded models may take; None for a quarter of the machine's memory, 4 GiB at most.
    """

    def __init__(self, home: Path, timeout: float = 600.0, memory_budget: int | None = None) -> None:
        self._home = home
        self._timeout = timeout
        self._budget = memory_budget if memory_budget is not None else min(4 << 30, psutil.virtual_memory().total // 4)
        self._guard = threading.Lock()
        self._child: _Child | None = None
        self._answered = False  # whether the child has loaded what takes seconds

    def start(self) -> None:
        """Start the process and have it load what takes seconds, so that the first question need not wait for it.

        Returns at once where it is answering someone already.

        Raises:
            RunError: If it cannot be started, or died.
        """
        if (self.pid is not None and self._answered) or not self._guard.acquire(blocking=False):
            return
        try:
            header, _ = self._ask({"op": "start"}, lambda stage: None)
        finally:
            self._guard.release()
        if "error" in header:
            raise _error_of(header)

    def encode(self, model: str, texts: Sequence[str], tell: ProgressCallback | None = None) -> NDArray[np.float32]:
        """Return the sentence vectors of texts.

        Args:
            model: A Hub name, a folder, a bundled name, a run id, or `base:RUN_ID` for what that run started from.
            texts: In any order; the vectors come in that order.
            tell: Is told how far it is.

        Returns:
            float32 (number of texts, width).

        Raises:
            InputError: If there is no such model, it cannot be read, or a text is no string.
            RunError: If the process died or does not answer.
        """
        return _matrix(*self._request(model, {"texts": _strings(texts)}, tell))

    def count(self, model: str, texts: Sequence[str], tell: ProgressCallback | None = None) -> Read:
        """Return how much of texts a model reads, see `SentenceTransformer.count_tokens`.

        Raises:
            InputError: As in `encode`.
            RunError: As in `encode`.
        """
        header, _ = self._request(model, {"op": "count", "texts": _strings(texts)}, tell)
        return Read(TokenCounts.from_dict(header["counts"]), [(first, second) for first, second in header["alike"]])

    def search(self, model: str, corpus: Sequence[str], queries: Sequence[str], tell: ProgressCallback | None = None) -> Found:
        """Compare queries with every text of a corpus, whose vectors are remembered for the next time.

        Args:
            model: As in `encode`.
            corpus: The texts to search.
            queries: What to look for.
            tell: Is told how far it is.

        Raises:
            InputError: As in `encode`.
            RunError: As in `encode`.
        """
        header, payload = self._request(
            model, {"op": "search", "texts": _strings(corpus), "queries": _strings(queries, "queries")}, tell
        )
        return Found(_matrix(header, payload), header["encode_seconds"], header["search_seconds"], header["remembered"])

    def project(
        self, model: str, texts: Sequence[str], method: str = "pca", tell: ProgressCallback | None = None
    ) -> tuple[NDArray[np.float32], list[float]]:
        """Return where texts lie on a plane, see `projection.project`.

        Args:
            model: As in `encode`.
            texts: What to draw.
            method: `pca`, or `umap` where it is installed.
            tell: Is told how far it is.

        Raises:
            InputError: As in `encode`, or if there is no such method.
            RunError: As in `encode`.
        """
        header, payload = self._request(model, {"op": "project", "texts": _strings(texts), "method": method}, tell)
        return _matrix(header, payload), list(header["shares"])

    def sizes(self, model: str, texts: Sequence[str], tell: ProgressCallback | None = None) -> list[Size]:
        """Return how far shorter and coarser vectors of texts agree with the full ones, see `sizes.measure_sizes`.

        Raises:
            InputError: As in `encode`, or if there are too few texts.
            RunError: As in `encode`.
        """
        header, _ = self._request(model, {"op": "sizes", "texts": _strings(texts)}, tell)
        return [Size(**size) for size in header["sizes"]]

    def quality(self, model: str, held_out: HeldOut, tell: ProgressCallback | None = None) -> Quality:
        """Return how good shorter and coarser vectors are on rows held out, see `quality.measure_quality`.

        It is measured once and remembered.

        Args:
            model: As in `encode`.
            held_out: What `find_held_out` found for this model; it has rows.
            tell: Is told how far it is.

        Raises:
            InputError: As in `encode`.
            RunError: As in `encode`.
        """
        assert held_out.folder is not None
        request = {"op": "quality", "folder": str(held_out.folder), "max_seq_length": held_out.max_seq_length}
        return Quality.from_dict(self._request(model, request, tell)[0])

    def contributions(self, model: str, first: str, second: str, tell: ProgressCallback | None = None) -> dict[str, Any]:
        """Return which words the cosine of two texts comes from, see `contributions.contributions`.

        Raises:
            InputError: As in `encode`, or if a text has no words.
            RunError: As in `encode`.
        """
        return self._request(model, {"op": "contributions", "texts": _strings([first, second])}, tell)[0]

    def dry_pass(self, request: DryPassRequest) -> DryPass:
        """Pass a few rows through a network as a run would begin with it.

        Raises:
            InputError: If the base cannot be read.
            RunError: If the process died or does not answer.
        """
        header, _ = self._exchange({"op": "dry_pass", "model": request.base, **request.to_dict()}, lambda stage: None)
        return DryPass.from_dict(header)

    @property
    def pid(self) -> int | None:
        """The process's number, None while there is none."""
        return None if self._child is None or not self._child.running else self._child.pid

    def close(self) -> None:
        """End the process; another `encode` starts a new one. An `encode` under way fails."""
        if not self._guard.acquire(timeout=_BUSY_SECONDS):
            # A page that is told to end does not wait for a model to load.
            if (child := self._child) is not None:
                child.kill()
            self._guard.acquire()
        try:
            self._end()
        finally:
            self._guard.release()

    def __enter__(self) -> EncoderProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _request(self, model: str, request: dict[str, Any], tell: ProgressCallback | None) -> Frame:
        """Ask for something of a model, and return the answer."""
        request = {**request, "model": resolve_encoder(model, self._home)}
        request["device"] = "cpu" if gpu_is_taken(self._home) else "auto"

        def say(stage: Mapping[str, Any]) -> None:
            if tell is not None:
                tell(model, stage)

        return self._exchange(request, say)

    def _exchange(self, request: dict[str, Any], say: Callable[[Mapping[str, Any]], None]) -> Frame:
        """Ask when it is this question's turn, and return the answer."""
        if not self._guard.acquire(blocking=False):
            say({"stage": "waiting" if self._answered else "starting"})
            self._guard.acquire()
        try:
            header, payload = self._ask(request, say)
        finally:
            self._guard.release()
        if "error" in header:
            raise _error_of(header)
        return header, payload

    def _ask(self, request: dict[str, Any], say: Callable[[Mapping[str, Any]], None]) -> Frame:
        if self._child is not None and not self._child.running:
            self._end()
        try:
            if self._child is None:
                say({"stage": "starting"})
                self._answered = False
                self._child = self._start()
            answer = self._child.ask(request, self._timeout, say)
        except TimeoutError:
            self._end(patience=0.0)
            raise RunError(
                f"The model did not answer within {self._timeout:g} seconds and was unloaded; try fewer texts or a smaller model."
            ) from None
        except BaseException:
            # Interrupted between question and answer: the answer would be taken for that of the next question.
            self._end(patience=0.0)
            raise
        if answer is None:
            self._end()
            raise RunError(
                "The process that encodes ended, most often because the memory ran out; try again, or choose a smaller model "
                f"(details in {LOG_FILE} of the workbench's folder)."
            )
        self._answered = True
        return answer

    def _start(self) -> _Child:
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            return _Child(self._home, self._budget)
        except OSError as error:
            raise RunError(f"The process that encodes could not be started: {error}.") from None

    def _end(self, patience: float = _CLOSE_SECONDS) -> None:
        if self._child is not None:
            self._child.close(patience)
            self._child = None


class _Child:
    """The process and the thread that reads its answers."""

    def __init__(self, home: Path, budget: int) -> None:
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        with (home / LOG_FILE).open("wb") as log:
            self._popen = subprocess.Popen(
                module_command("workbench.playground.encoder", "--home", str(home.resolve()), "--memory-budget", str(budget)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=home,
                env=child_environment(),
                # Ctrl-C in the terminal is for the page, which then closes the pipe.
                start_new_session=True,
                creationflags=flags,
            )
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._requests: BinaryIO = self._popen.stdin  # type: ignore[assignment]
        self._answers: queue.Queue[Frame | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._popen.stdout,), name="encoder answers", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def pid(self) -> int:
        return self._popen.pid

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer learns that there is none."""
        self._popen.kill()

    def ask(self, request: dict[str, Any], timeout: float, say: Callable[[Mapping[str, Any]], None]) -> Frame | None:
        """Send a request and wait for its answer, None where the process died over it.

        Args:
            request: What to ask.
            timeout: Seconds to wait for the answer, counted again after every word on how far it is.
            say: Is told how far it is.

        Raises:
            TimeoutError: If it takes too long.
        """
        try:
            write_frame(self._requests, request)
            while True:
                answer = self._answers.get(timeout=timeout)
                if answer is None or "stage" not in answer[0]:
                    return answer
                say(answer[0])
        except queue.Empty:
            raise TimeoutError from None
        except OSError:
            return None

    def close(self, patience: float = _CLOSE_SECONDS) -> None:
        """Close the pipe, which ends the process; kill it where it is busy for longer than `patience` seconds."""
        with suppress(OSError):  # what was left to write has no one to read it
            self._requests.close()
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._reader.join()
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def _read(self, stream: BinaryIO) -> None:
        try:
            while (frame := read_frame(stream)) is not None:
                self._answers.put(frame)
        except (WireError, OSError, ValueError):
            self._popen.kill()
        self._answers.put(None)


def _strings(texts: Sequence[str], field: str = "texts") -> list[str]:
    rows = list(texts)
    for index, text in enumerate(rows):
        if not isinstance(text, str):
            raise InputError(f"`{field}` must hold strings only; item {index} is {type(text).__name__}.", field=field)
    return rows


def _matrix(header: Mapping[str, Any], payload: bytes) -> NDArray[np.float32]:
    return np.frombuffer(payload, dtype="<f4").reshape(header["rows"], header["width"]).astype(np.float32)


def _error_of(header: dict[str, Any]) -> WorkbenchError:
    return _ERRORS.get(str(header.get("kind")), RunError)(str(header["error"]), header.get("field"))
