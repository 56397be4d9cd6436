"""transformers' Trainer, fed with our batches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer

from workbench.losses import Loss
from workbench.models import SentenceTransformer
from workbench.models.numerics import tf32
from workbench.training.batch import Batch, Collate
from workbench.training.bucketing import BucketedBatch
from workbench.training.cuda_graphs import GraphedSteps
from workbench.training.distributed import ProcessGroup
from workbench.training.embedding import Padding, embed, prepare
from workbench.training.embedding_rows import UsedEmbeddingRows
from workbench.training.precision import Precision
from workbench.training.sampler import ShuffledBatches


class TrainedNetwork(nn.Module):
    """Network and loss as one module, so that the optimiser and checkpoints hold the parameters of both.

    One call is one whole step forward. Autocast and DDP, which wrap this module, see nothing of the chunks inside.

    Args:
        model: The network.
        loss: The objective.
        processes: The processes that train it.
        micro_batch_size: Rows embedded at a time in each process; None for the whole batch.
        words: The word vectors that are trained alone; None for all.
    """

    # Trainer takes a forward(**kwargs) for one that normalises the loss itself.
    accepts_loss_kwargs = False

    def __init__(
        self,
        model: SentenceTransformer,
        loss: Loss,
        processes: ProcessGroup,
        micro_batch_size: int | None,
        words: UsedEmbeddingRows | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.words = words
        self.padding = Padding()
        self._processes = processes
        self._micro_batch_size = micro_batch_size

    def prepare(self, batch: Batch) -> Batch:
        """Return a batch with as much done for its forward pass as can be done beforehand."""
        return prepare(self.model, batch, self._sentences(batch), self._processes)

    def _sentences(self, batch: Batch) -> int | None:
        return None if self._micro_batch_size is None else self._micro_batch_size * len(batch.columns)

    def forward(self, batch: Batch) -> Tensor:
        """Return the loss of a batch."""
        columns = embed(self.model, batch, self.padding, self._sentences(batch), self._processes)
        # Cosines and logarithms of sums of exponentials want float32, whatever the encoder computed in.
        with torch.autocast(self.model.device.type, enabled=False):
            value: Tensor = self.loss([column.float() for column in columns], batch.labels)
        return value

    def sync_embedding_rows(self) -> None:
        """Bring the model up to date with what was trained beside it, before it is measured or saved."""
        if self.words is not None:
            self.words.write_back()


class SentenceTrainer(Trainer):
    """A Trainer whose step embeds every distinct sentence of a batch once and puts any loss on top.

    Args:
        network: Network and loss.
        batches: Which rows share a batch.
        collate: Row numbers to a batch.
        precision: In which numbers; `args` say the same of the encoder.
        ahead: Whether the next batch is made in a thread while the device computes; None for wherever that is not the CPU, which
            has nothing to gain.
        rehearse: Whether the batch that needs most memory goes forward and backward once before the first step, so that too little of
            it shows at once and not in the middle; None for on a GPU only, where it is scarce. The steps are the same either way.
        graphs: Runs steps as CUDA graphs; None for none.
        **kwargs: Trainer's own arguments.
    """

    def __init__(
        self,
        network: TrainedNetwork,
        batches: ShuffledBatches,
        collate: Collate,
        precision: Precision,
        ahead: bool | None = None,
        rehearse: bool | None = None,
        graphs: GraphedSteps | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model=network, train_dataset=range(collate.rows), **kwargs)
        self._network = network
        self._batches = batches
        self._collate = collate
        self._precision = precision
        self._ahead = self.args.device.type != "cpu" if ahead is None else ahead
        self._rehearses = self.args.device.type == "cuda" if rehearse is None else rehearse
        self._graphs = graphs
        self._thread: ThreadPoolExecutor | None = None
        self.rows_seen = 0

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train; the thread that makes batches ends with it, and the model is whole, however it ends."""
        with ExitStack() as until_the_end:
            if self._network.words is not None:
                until_the_end.enter_context(self._network.words.trained())
            if self._graphs is not None:
                until_the_end.callback(self._graphs.release)
            if self._ahead:
                self._thread = until_the_end.enter_context(ThreadPoolExecutor(1, "next-batch"))
                until_the_end.callback(setattr, self, "_thread", None)
            return super().train(*args, **kwargs)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of our own batches."""
        loader: DataLoader[Any] = DataLoader(
            range(self._collate.rows),  # type: ignore[arg-type]
            batch_sampler=self._batches,
            collate_fn=self._make,
        )
        # Every process takes every batch whole; which sentences are its own is decided when they are embedded.
        return prepare_data_loader(loader, num_processes=1, process_index=0)

    def _make(self, rows: Sequence[int]) -> Batch | BucketedBatch | Future[Batch | BucketedBatch]:
        """Return a batch, or the promise of one: accelerate's loader asks for the next batch before it hands out one."""
        return self._make_now(rows) if self._thread is None else self._thread.submit(self._make_now, rows)

    def _make_now(self, rows: Sequence[int]) -> Batch | BucketedBatch:
        batch = self._collate(rows)
        filled_up = self._graphs.fill_up(batch) if self._graphs is not None and self._graphs.wanted else None
        return self._network.prepare(batch.to(self.args.device)) if filled_up is None else filled_up

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> None:
        """Leave the scaling of the loss to the loss."""

    def floating_point_ops(self, inputs: Any) -> int:  # type: ignore[override]
        """Return 0: Trainer's estimate counts padded rows of one forward pass, which is not what runs here."""
        return 0

    def training_step(  # type: ignore[override]
        self, model: nn.Module, inputs: Batch | BucketedBatch | Future[Batch | BucketedBatch], num_items_in_batch: Any = None
    ) -> Tensor:
        """Run forward and backward of one batch and return the loss."""
        model.train()
        batch = inputs.result() if isinstance(inputs, Future) else inputs
        if self._rehearses:
            self._rehearses = False
            self._rehearse(model)
        self.rows_seen += batch.rows
        if self._graphs is None:
            return self._forward_and_backward(model, batch)
        return self._graphs.timed(batch, lambda: self._forward_and_backward(model, batch))

    def _forward_and_backward(self, model: nn.Module, batch: Batch | BucketedBatch) -> Tensor:
        with tf32(self._precision.tf32):
            if isinstance(batch, BucketedBatch):
                assert self._graphs is not None, "who fills a batch up runs it"
                self._network.padding.add(batch.bucket.tokens, batch.tokens)
                scaler = self.accelerator.scaler  # of fp16
                scale = None if scaler is None else scaler.scale(torch.ones((), device=self.args.device))
                return self._graphs.step(model, batch, scale)
            value: Tensor = model(batch)
            self.accelerator.backward(value)
        return value.detach()

    def _rehearse(self, model: nn.Module) -> None:
        """Pass the heaviest batch forward and backward, and leave everything as it was."""
        device, counted = self.args.device, self._network.padding
        self._network.padding = Padding()
        batch = self._make_now(self._batches.heaviest(padded=not self._network.model.encoder.packs))
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            self._forward_and_backward(model, batch)
        model.zero_grad()
        self._network.padding = counted
