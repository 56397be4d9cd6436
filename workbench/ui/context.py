"""What every page is handed: the settings, the one encoder process of this server, and facts that are dear to look up."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.recipe import EncoderInfo, Recipe, TrainingConfig
from workbench.settings import Settings

if TYPE_CHECKING:
    from workbench.data import SplitSummary
    from workbench.playground import EncoderProcess

WINDOWS_REMEMBERED = 64

Answer = TypeVar("Answer")


class Context:
    """Shared by all pages and routes of one server.

    Args:
        settings: Where the workbench lives and how it listens.

    Attributes:
        settings: As given.
        boot_id: A new value each time the server starts, so that an open page notices a restart.
        last_edit: The command line of the stack saved last, and the window it came from.
        issued: For each window the last stack that was put in place of its own, see `Context.issue`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.boot_id = uuid.uuid4().hex
        self.last_edit: tuple[str, str] | None = None
        self.issued: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._encoder: EncoderProcess | None = None
        self._lock = threading.Lock()
        self._bases: dict[str, tuple[Any, EncoderInfo]] = {}
        self._answers: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._splits: dict[tuple[str, float, float, int], SplitSummary] = {}
        self._unread: dict[tuple[str, str, Any], tuple[str, ...]] = {}
        self._sentences: dict[tuple[str, float, float, int], tuple[str, ...]] = {}

    @property
    def home(self) -> Path:
        """Folder of data sets, runs and models."""
        return self.settings.home

    @property
    def encoder(self) -> EncoderProcess:
        """The process that turns sentences into vectors; started when first asked for."""
        with self._lock:
            if self._encoder is None:
                from workbench.playground import EncoderProcess

                self._encoder = EncoderProcess(self.home)
            return self._encoder

    def issue(self, window: str, document: dict[str, Any]) -> None:
        """Remember the stack that replaces the one of a window.

        What Python sends may be overwritten in the browser by an edit of the same moment. An edit of an older stack then
        shows that the window has missed it, and gets it again.

        Args:
            window: The window, by the id it gave itself.
            document: The stack, with its epoch.
        """
        self.issued[window] = document
        self.issued.move_to_end(window)
        while len(self.issued) > WINDOWS_REMEMBERED:
            self.issued.popitem(last=False)

    def missed(self, window: str, epoch: int) -> dict[str, Any] | None:
        """Return the stack that was put in place of the one a window still edits, None if there is none."""
        document = self.issued.get(window) if window else None
        return document if document is not None and epoch < document["epoch"] else None

    def describe_base(self, name: str) -> EncoderInfo:
        """Return the facts of a base encoder or a run's model, remembered for as long as its files stay as they are.

        Raises:
            WorkbenchError: If there is no such encoder, or not any more.
        """
        from workbench.models import describe_base
        from workbench.runs import resolve_model

        folder = resolve_model(name, self.home)
        stamp = _stamp(folder, self.home)
        known = self._bases.get(name)
        if known is None or known[0] != stamp:
            self._bases.pop(name, None)
            info = dataclasses.replace(describe_base(folder, self.home), name=name)
            known = self._bases[name] = (stamp, info)
        return known[1]

    def answer_once(self, window: str, ask: int, work: Callable[[], Answer]) -> Answer | None:
        """Do what a window asks for once, however often it asks: it asks again when it has waited long, or an answer got lost.

        Args:
            window: The window, by the id it gave itself.
            ask: Number of the question.
            work: Answers it.

        Returns:
            The answer; None while it is in the making.
        """
        key = (window, ask)
        with self._lock:
            if key in self._answers:
                answer: Answer | None = self._answers[key]
                return answer
            self._answers[key] = None
            while len(self._answers) > WINDOWS_REMEMBERED:
                self._answers.popitem(last=False)
        try:
            answer = work()
        except BaseException:
            with self._lock:
                self._answers.pop(key, None)
            raise
        with self._lock:
            if key in self._answers:
                self._answers[key] = answer
        return answer

    def preview_split(self, ref: str, training: TrainingConfig) -> SplitSummary:
        """Return how a stored data set would be split, remembered: a version of a data set never changes.

        Raises:
            DataError: If there is no such data set.
        """
        key = _split_key(ref, training)
        if key not in self._splits:
            from workbench.data import preview_split

            self._splits[key] = preview_split(ref, self.home, training)
        return self._splits[key]

    def suggest_sentences(self, ref: str, training: TrainingConfig) -> tuple[str, ...]:
        """Return a few sentences of a stored data set to watch, remembered as the split is.

        Raises:
            DataError: If there is no such data set.
        """
        key = _split_key(ref, training)
        if key not in self._sentences:
            from workbench.data import suggest_sentences

            self._sentences[key] = suggest_sentences(ref, self.home, training)
        return self._sentences[key]

    def not_read(self, recipe: Recipe) -> tuple[str, ...]:
        """Return sentences on what a recipe's base encoder does not read of its stored data set, remembered.

        Args:
            recipe: Its data are the reference of a data set.
        """
        layers = recipe.architecture.layers if recipe.architecture is not None else ()
        key = (recipe.base, recipe.data, layers[0].params.get("max_seq_length") if layers else None)
        if key not in self._unread:
            from workbench.runs import read_dataset

            reading = read_dataset(recipe, self.home)
            if reading is None:  # what is not on this machine may be downloaded meanwhile
                return ()
            self._unread[key] = tuple(words for _, words in reading.findings())
        return self._unread[key]

    def close(self) -> None:
        """End the encoder process; runs go on."""
        with self._lock:
            if self._encoder is not None:
                self._encoder.close()
                self._encoder = None


def _stamp(name: str, home: Path) -> Any:
    """Return what changes when the files that describe an encoder do; None for one that is no folder."""
    from workbench.models.kept import follow_pointer

    for folder in (follow_pointer(Path(name).expanduser()), follow_pointer(home / "models" / name)):
        if folder.is_dir():
            described = (folder / file for file in ("modules.json", "config.json"))
            return str(folder), *(file.stat().st_mtime_ns if file.is_file() else None for file in described)
    return None


def _split_key(ref: str, training: TrainingConfig) -> tuple[str, float, float, int]:
    return ref, training.validation_fraction, training.test_fraction, training.seed
