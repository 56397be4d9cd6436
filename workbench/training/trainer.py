"""transformers' Trainer, fed with our batches."""

from __future__ import annotations

from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer

from workbench.losses import Loss
from workbench.models import SentenceTransformer
from workbench.training.batch import Batch, Collate
from workbench.training.distributed import Peers
from workbench.training.embedding import Padding, embed
from workbench.training.sampler import ShuffledBatches


class TrainedNetwork(nn.Module):
    """Network and loss as one module, so that the optimiser and checkpoints hold the parameters of both.

    One call is one whole step forward. Autocast and DDP, which wrap this module, see nothing of the chunks inside.

    Args:
        model: The network.
        loss: The objective.
        peers: The processes that train it.
        micro_batch_size: Rows embedded at a time in each process; None for the whole batch.
    """

    # Trainer takes a forward(**kwargs) for one that normalises the loss itself.
    accepts_loss_kwargs = False

    def __init__(self, model: SentenceTransformer, loss: Loss, peers: Peers, micro_batch_size: int | None) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.padding = Padding()
        self._peers = peers
        self._micro_batch_size = micro_batch_size

    def forward(self, batch: Batch) -> Tensor:
        """Return the loss of a batch."""
        sentences = None if self._micro_batch_size is None else self._micro_batch_size * len(batch.columns)
        columns = embed(self.model, batch, self.padding, sentences, self._peers)
        # Cosines and logarithms of sums of exponentials want float32, whatever the encoder computed in.
        with torch.autocast(self.model.device.type, enabled=False):
            value: Tensor = self.loss([column.float() for column in columns], batch.labels)
        return value


class SentenceTrainer(Trainer):
    """A Trainer whose step embeds every distinct sentence of a batch once and puts any loss on top.

    Args:
        network: Network and loss.
        batches: Which rows share a batch.
        collate: Row numbers to a batch.
        **kwargs: Trainer's own arguments.
    """

    def __init__(self, network: TrainedNetwork, batches: ShuffledBatches, collate: Collate, **kwargs: Any) -> None:
        super().__init__(model=network, train_dataset=range(collate.rows), **kwargs)
        self._batches = batches
        self._collate = collate
        self.rows_seen = 0

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of our own batches."""
        loader: DataLoader[Any] = DataLoader(
            range(self._collate.rows),  # type: ignore[arg-type]
            batch_sampler=self._batches,
            collate_fn=self._collate,
        )
        # Every process takes every batch whole; which sentences are its own is decided when they are embedded.
        return prepare_data_loader(loader, num_processes=1, process_index=0)

    def _prepare_inputs(self, inputs: Batch) -> Batch:  # type: ignore[override]
        return inputs

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> None:
        """Leave the scaling of the loss to the loss."""

    def floating_point_ops(self, inputs: Batch) -> int:  # type: ignore[override]
        """Return 0: Trainer's estimate counts padded rows of one forward pass, which is not what runs here."""
        return 0

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:  # type: ignore[override]
        """Run forward and backward of one batch and return the loss."""
        model.train()
        batch = Batch(inputs.token_ids, inputs.columns, None if inputs.labels is None else inputs.labels.to(self.args.device))
        self.rows_seen += batch.rows
        value: Tensor = model(batch)
        self.accelerator.backward(value)
        return value.detach()
