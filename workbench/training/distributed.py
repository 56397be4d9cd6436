"""Several processes that train one network together: one for each device.

Every process sees every batch, embeds its share of the sentences, and computes the loss of the whole batch. So a run gives
what one process with the same `batch_size` would give, and in-batch negatives come from all devices.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate.utils import check_cuda_p2p_ib_support
from torch import Tensor

from workbench.errors import LostProcessError, RunError
from workbench.training.meeting import MEETING_FILE

# The others wait while the first one measures the model, which may take long. One that is gone is noticed at once all the
# same: its connection closes, and whoever started them ends the rest.
_PATIENCE = timedelta(days=7)

_LOST = ("remote process exited", "connection", "socket", "peer", "timeout", "timed out", "aborted")

Item = TypeVar("Item")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: Number of this one.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one that measures, saves and reports."""
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return what this process takes of a batch: every `size`-th item, so that sorted ones are dealt out evenly.

        All shares have one length. Where the items do not suffice, the last one is there again; `gather` leaves it out.
        """
        if self.size == 1:
            return items
        rounds = -(-len(items) // self.size)
        return [items[min(number, len(items) - 1)] for number in range(self.rank, rounds * self.size, self.size)]

    def gather(self, vectors: Tensor, count: int) -> Tensor:
        """Return the vectors of all items of a batch, (count, width), from those of the shares, with their graph.

        Args:
            vectors: Those of this process's share, (share, width).
            count: How many items the batch has.
        """
        if self.size == 1:
            return vectors
        shares: Tensor = _Gather.apply(vectors, self)
        return shares.transpose(0, 1).reshape(-1, vectors.shape[1])[:count]

    def broadcast(self, value: Any) -> Any:
        """Return the first process's value, which is JSON data, in all of them."""
        if self.size == 1:
            return value
        # As JSON: torch's own way of sending an object would have the others unpickle, and thereby run, whatever they are sent.
        text = json.dumps(value).encode() if self.is_main else b""
        length = torch.tensor([len(text)])
        dist.broadcast(length, src=0)
        data = torch.tensor(list(text), dtype=torch.uint8) if self.is_main else torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(data, src=0)
        return json.loads(bytes(data.tolist()))

    def main_process_first(self, make: Callable[[], Item]) -> Item:
        """Return what is made, by the first process before the others begin: they find on the disk what it has left there."""
        if self.is_main:
            made = make()
            self.broadcast(None)
            return made
        self.broadcast(None)
        return make()

    def sum(self, *counts: int) -> list[int]:
        """Return the sum of each count over all processes."""
        totals = torch.tensor(counts)
        if self.size > 1:
            dist.all_reduce(totals)
        return totals.tolist()

    def explain(self, error: RuntimeError) -> LostProcessError | None:
        """Return what to tell the user of an error that came from another process; None where it is this one's own."""
        if self.size == 1 or not _is_lost_connection(error):
            return None
        return LostProcessError(
            f"One of the run's {self.size} processes ended while the others waited for it: by an error of its own, or killed from "
            "outside, most often because the machine's memory ran out; the end of the run's log.txt may say which."
        )

    def close(self) -> None:
        """End the connection; only after work that went well, so that a failure is reported before the others notice it."""
        if self.size > 1:
            dist.destroy_process_group()


ALONE = ProcessGroup()


def init_process_group(device: torch.device, devices: int, folder: Path) -> ProcessGroup:
    """Return the processes of this run once all of them are there.

    Args:
        device: Where this one computes.
        devices: How many the recipe wants.
        folder: The run's, in which they meet. Those that torchrun has started meet where torchrun says.

    Raises:
        RunError: If this process was not started together with that many.
    """
    if devices == 1:
        return ALONE
    by_torchrun = dist.is_torchelastic_launched()
    if not by_torchrun and os.environ.get("WORLD_SIZE") != str(devices):
        raise RunError(
            f"`devices` {devices} needs as many processes, and this one was started alone; queue the run, or use torchrun.",
            field="devices",
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
        if not check_cuda_p2p_ib_support():  # cards of the RTX 40 series under an old driver
            os.environ.setdefault("NCCL_P2P_DISABLE", "1")
            os.environ.setdefault("NCCL_IB_DISABLE", "1")
    # What the processes agree on stays on the CPU, so that no step waits for the GPU.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if by_torchrun:
        dist.init_process_group(backend, timeout=_PATIENCE)
    else:
        store = torch.distributed.FileStore(  # type: ignore[attr-defined]
            str(folder / MEETING_FILE), devices
        )
        dist.init_process_group(backend, timeout=_PATIENCE, store=store, rank=int(os.environ["RANK"]), world_size=devices)
    return ProcessGroup(dist.get_rank(), dist.get_world_size())


def _is_lost_connection(error: RuntimeError) -> bool:
    """Return whether an error of gloo or NCCL says that another process is gone; both raise for errors of their own, too."""
    text = str(error).replace("\\", "/").lower()
    if isinstance(error, dist.DistBackendError | dist.DistNetworkError):
        return any(words in text for words in _LOST)
    return "gloo/transport" in text


class _Gather(torch.autograd.Function):
    """The shares of all processes, (processes, share, width), with the way back to one's own.

    Each process computes the loss of the whole batch, so its own vectors' gradient is complete without the others'. The weights'
    gradients are partial, their sum over the processes is wanted, and DDP takes their mean: hence the factor. Parameters of the
    loss have the whole gradient in every process, and the mean leaves it as it is.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, processes: ProcessGroup) -> Tensor:
        ctx.processes = processes
        shares = vectors.new_empty((processes.size, *vectors.shape))
        dist.all_gather_into_tensor(shares.flatten(0, 1), vectors.contiguous())
        return shares

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][ctx.processes.rank] * ctx.processes.size, None
