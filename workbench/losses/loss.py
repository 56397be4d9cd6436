"""What every loss has in common, and how one is built from its spec."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from torch import Tensor, nn

from workbench.errors import ConfigError
from workbench.recipe.losses import LossSpec


class Loss(nn.Module):
    """A training objective.

    `forward` takes the sentence vectors of each text column, a list of (rows, width), and the labels, (rows,) or None, and
    returns a scalar. Parameters it owns are trained and checkpointed with the model but are no part of the saved model.
    """

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Return the loss of one batch; each subclass says what it takes."""
        raise TypeError(f"{type(self).__name__} defines no forward.")


def require_labels(labels: Tensor | None, owner: Loss) -> Tensor:
    """Return the labels.

    Raises:
        ConfigError: If there are none.
    """
    if labels is None:
        raise ConfigError(f"{type(owner).__name__} needs a score or label for each row, and the batch has none.", field="loss")
    return labels


def build_loss(spec: LossSpec, embedding_dimension: int, num_labels: int) -> Loss:
    """Return the module of a loss.

    Args:
        spec: Name and parameters.
        embedding_dimension: Width of the sentence vectors.
        num_labels: Number of classes in the data set; 0 where it has none.
    """
    module, _, name = spec.entry.cls.partition(":")
    cls = getattr(importlib.import_module(module), name)
    arguments = dict(spec.params)
    if spec.entry.needs_classes:
        arguments |= {"embedding_dimension": embedding_dimension, "num_labels": num_labels}
    loss: Loss = cls(**arguments)
    return loss
