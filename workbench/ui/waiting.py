"""Work that takes long, as text: what it is doing now, then what came of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from workbench.playground import ProgressCallback

Result = TypeVar("Result")


@dataclass(frozen=True)
class Waiting:
    """What the work is doing.

    Attributes:
        words: One sentence.
    """

    words: str


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What came of it.

    Attributes:
        value: What the work returned.
    """

    value: Result


def follow(work: Callable[[ProgressCallback], Result], names: Mapping[str, str]) -> Iterator[Waiting | Done[Result]]:
    """Do something in a thread, and yield what it is doing whenever that changes, then what it returned.

    Args:
        work: Is handed where to tell how far it is, see `EncoderProcess`.
        names: What to call each model.

    Raises:
        Exception: Whatever the work raised.
    """
    said: queue.Queue[Waiting | Done[Result] | BaseException] = queue.Queue()

    def tell(model: str, stage: Mapping[str, Any]) -> None:
        said.put(Waiting(stage_words(names.get(model, model), stage)))

    def run() -> None:
        try:
            said.put(Done(work(tell)))
        except BaseException as error:
            said.put(error)

    threading.Thread(target=run, name="playground", daemon=True).start()
    while True:
        item = said.get()
        # Of several words on the way only the last is news.
        while isinstance(item, Waiting) and not said.empty():
            item = said.get()
        if isinstance(item, BaseException):
            raise item
        yield item
        if isinstance(item, Done):
            return


def stage_words(model: str, stage: Mapping[str, Any]) -> str:
    """Return what the encoder process is doing, in a sentence."""
    match stage.get("stage"):
        case "starting":
            return "Starting the process that holds the models; the first time it loads torch, which takes some seconds …"
        case "waiting":
            return "Waiting: the process that holds the models is busy with another question …"
        case "loading":
            return f"Loading {model} …"
        case "projecting":
            return f"{model}: laying out the map …"
        case "measuring":
            return f"{model}: {stage['done']:,} of {stage['total']:,} sizes are measured …"
        case "encoding":
            return f"{model}: {stage['done']:,} of {stage['total']:,} texts are encoded …"
    return "Working …"
