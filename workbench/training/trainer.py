"""transformers' Trainer, fed with our batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer

from workbench.losses import Loss
from workbench.models import SentenceTransformer
from workbench.training.batch import Batch, Collate
from workbench.training.embedding import Padding, backward_in_chunks, embed
from workbench.training.precision import Precision
from workbench.training.sampler import ShuffledBatches


class TrainedNetwork(nn.Module):
    """Network and loss as one module, so that the optimiser and checkpoints hold the parameters of both.

    Args:
        model: The network.
        loss: The objective.
    """

    # Trainer takes a forward(**kwargs) for one that normalises the loss itself.
    accepts_loss_kwargs = False

    def __init__(self, model: SentenceTransformer, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        """Run the network; the loss is called by the trainer."""
        return self.model(features)


class SentenceTrainer(Trainer):
    """A Trainer whose step embeds every distinct sentence of a batch once and puts any loss on top.

    Args:
        network: Network and loss.
        batches: Which rows share a batch.
        collate: Row numbers to a batch.
        micro_batch_size: Rows embedded at a time; None for the whole batch.
        precision: In which numbers; `args` say the same of the encoder.
        **kwargs: Trainer's own arguments.
    """

    def __init__(
        self,
        network: TrainedNetwork,
        batches: ShuffledBatches,
        collate: Collate,
        micro_batch_size: int | None,
        precision: Precision,
        **kwargs: Any,
    ) -> None:
        super().__init__(model=network, train_dataset=range(collate.rows), **kwargs)
        self._network = network
        self._batches = batches
        self._collate = collate
        self._micro_batch_size = micro_batch_size
        self._precision = precision
        self.padding = Padding()
        self.rows_seen = 0

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of our own batches."""
        loader: DataLoader[Any] = DataLoader(
            range(self._collate.rows),  # type: ignore[arg-type]
            batch_sampler=self._batches,
            collate_fn=self._collate,
        )
        return self.accelerator.prepare_data_loader(loader)

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
        with self._precision.products():
            return self._compute_gradients(model, batch)

    def _compute_gradients(self, model: nn.Module, batch: Batch) -> Tensor:
        network, loss = self._network.model, self._network.loss
        if self._micro_batch_size is not None and self._micro_batch_size < batch.rows:
            sentences = self._micro_batch_size * len(batch.columns)
            return backward_in_chunks(network, batch, loss, sentences, self.accelerator.backward, model, self.padding)
        vectors = embed(network, batch, model, self.padding)
        # Cosines and logarithms of sums of exponentials want float32, whatever the encoder computed in.
        value: Tensor = loss([column.float() for column in vectors], batch.labels)
        self.accelerator.backward(value)
        return value.detach()
