"""Trains each of `CASES` in several processes, of which this is one: `several_processes.py BASE SENTENCES.json FOLDER [CASE...]`.

In each case's folder it leaves what a run leaves, and `told.json`: the loss of every step, and how it ended.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import torch

from tests.training.test_run import GivenSplits, Recorder, make_part, recipe
from workbench.recipe import LossSpec
from workbench.runs.process import end_with_parent, leave
from workbench.training import run as run_module
from workbench.training import run_training
from workbench.training.distributed import ProcessGroup, init_process_group
from workbench.training.tokens import Tokens

CASES: dict[str, dict[str, Any]] = {
    "ranking": {"kind": "triplets", "loss": "MultipleNegativesRankingLoss"},
    "ranking in micro batches": {"kind": "triplets", "loss": "MultipleNegativesRankingLoss", "micro_batch_size": 2},
    "scores": {"kind": "scored_pairs", "loss": "CoSENTLoss"},
    "scores in micro batches": {"kind": "scored_pairs", "loss": "CoSENTLoss", "micro_batch_size": 1},
    "classes": {"kind": "class_pairs", "loss": "SoftmaxLoss"},
    "classes in micro batches": {"kind": "class_pairs", "loss": "SoftmaxLoss", "micro_batch_size": 3},
}
ROWS, BATCH_SIZE = 23, 8
"""The last batch is smaller, and batches of an odd number of sentences come up."""


def train(case: str, base: Path, sentences: list[str], folder: Path, devices: int, listener: Recorder) -> None:
    settings = dict(CASES[case])
    kind, loss = settings.pop("kind"), settings.pop("loss")
    # Without a validation part the model of the last step is kept.
    parts = GivenSplits(kind, make_part(kind, sentences, ROWS, 0), None, None, classes=("a", "b", "c"))
    settings |= {"epochs": 2, "batch_size": BATCH_SIZE, "devices": devices, "precision": "fp32"}
    result = run_training(recipe(base, kind, loss=LossSpec(loss), **settings), parts, folder / "home", folder / case, listener)  # type: ignore[arg-type]
    if result is not None:
        told = {"train": listener.train, "result": asdict(result)}
        (folder / case / "told.json").write_text(json.dumps(told))


def listening_addresses() -> list[str]:
    """Return where this process and its siblings listen."""
    processes = psutil.Process(os.getppid()).children(recursive=True)
    return [
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]


class Outsider(Recorder):
    """A listener of a process that has nothing to say."""

    def stop_requested(self) -> str | None:
        return "none"  # no one asks it


if __name__ == "__main__":
    end_with_parent()
    # One connection for all cases: the processes meet only once.
    processes, part = init_process_group(torch.device("cpu"), int(os.environ["WORLD_SIZE"]), Path(sys.argv[3])), ProcessGroup.close
    run_module.init_process_group, ProcessGroup.close = lambda device, devices, folder: processes, lambda self: None
    cached: list[bool] = []

    class WatchedTokens(Tokens):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            cached.append(self.cached)

    run_module.Tokens = WatchedTokens  # type: ignore[misc]
    base, sentences, folder = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])
    if processes.is_main:
        (folder / "listening.json").write_text(json.dumps(listening_addresses()))
    for name in sys.argv[4:] or CASES:
        train(name, base, sentences, folder, processes.size, Recorder() if processes.is_main else Outsider())
    (folder / f"cached-{processes.rank}.json").write_text(json.dumps(cached))
    part(processes)
    leave(0)
