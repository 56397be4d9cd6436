"""How a batch is embedded, decided once for every loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workbench.models import Layout, SentenceTransformer
from workbench.models.layout import PaddedLayout
from workbench.training.batch import Batch

PADDED_CHUNK = 32
"""Sentences of like length that share a padded forward pass on the CPU; a GPU takes the whole batch at once."""

Forward = Callable[[dict], dict]


@dataclass
class Padding:
    """How many token positions were computed, and how many of them were padding."""

    positions: int = 0
    padded: int = 0

    def count(self, layout: Layout, tokens: int) -> None:
        """Add one forward pass over some tokens; what is on a GPU is not looked at, which would wait for it."""
        positions = layout.mask.numel() if isinstance(layout, PaddedLayout) else tokens
        self.positions += positions
        self.padded += positions - tokens

    @property
    def fraction(self) -> float:
        """Padded positions over all positions."""
        return self.padded / self.positions if self.positions else 0.0


def embed(model: SentenceTransformer, batch: Batch, forward: Forward | None = None, padding: Padding | None = None) -> list[Tensor]:
    """Return the sentence vectors of each text column of a batch, each (rows, width).

    Args:
        model: The network.
        batch: What to embed.
        forward: What runs the network, e.g. under autocast; None for the network itself.
        padding: Counts what was computed, if given.
    """
    chunks = [forward_chunk(model, ids, forward, padding) for ids in _chunks(model, batch.token_ids)]
    return columns_of(torch.cat(chunks), batch)


def forward_chunk(
    model: SentenceTransformer, token_ids: Sequence[list[int]], forward: Forward | None, padding: Padding | None
) -> Tensor:
    """Return the sentence vectors of some sentences, (sentences, width)."""
    features = model.encoder.collate(token_ids, model.device)
    if padding is not None:
        padding.count(features["layout"], sum(map(len, token_ids)))
    vectors: Tensor = (forward or model)(features)["sentence_embedding"]
    return vectors


def columns_of(vectors: Tensor, batch: Batch) -> list[Tensor]:
    """Return the vectors of each column, (rows, width), from those of the distinct sentences."""
    return [vectors[column.to(vectors.device)] for column in batch.columns]


def _chunks(model: SentenceTransformer, token_ids: list[list[int]]) -> Iterator[list[list[int]]]:
    # A packed batch has no padding to save by splitting; on a GPU more launches cost more than the padding does.
    size = PADDED_CHUNK if model.device.type == "cpu" and not model.encoder.packs else len(token_ids)
    for start in range(0, len(token_ids), max(size, 1)):
        yield token_ids[start : start + size]


def backward_in_chunks(
    model: SentenceTransformer,
    batch: Batch,
    loss: nn.Module,
    sentences: int,
    backward: Callable[[Tensor], None],
    forward: Forward | None = None,
    padding: Padding | None = None,
) -> Tensor:
    """Compute the loss of the whole batch and its gradients while only a few sentences hold their graph at a time.

    Gradient caching (Gao et al. 2021): embed without graph, take the gradient of the loss with respect to the vectors, embed
    again with graph and carry that gradient on. Dropout draws the same numbers both times, so the result is that of the
    plain way.

    Args:
        model: The network.
        batch: The rows.
        loss: `loss(columns, labels)`.
        sentences: Sentences embedded at a time.
        backward: Runs backward on a scalar, e.g. the accelerator's, with its loss scaling.
        forward: What runs the network; None for the network itself.
        padding: Counts what was computed, if given.

    Returns:
        The loss, detached.
    """
    chunks = [batch.token_ids[start : start + sentences] for start in range(0, len(batch.token_ids), sentences)]
    states, parts = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(_rng_state(model.device))
            parts.append(forward_chunk(model, chunk, forward, padding))
    vectors = torch.cat(parts).requires_grad_()
    value: Tensor = loss([column.float() for column in columns_of(vectors, batch)], batch.labels)
    backward(value)  # fills vectors.grad, scaled like every other gradient
    gradient = vectors.grad
    assert gradient is not None
    start = 0
    for chunk, state in zip(chunks, states, strict=True):
        with _replayed(state, model.device):
            again = forward_chunk(model, chunk, forward, padding)
        # Scaling already happened above, so this is torch's own backward.
        torch.autograd.backward(again, gradient[start : start + len(chunk)].to(again.dtype))
        start += len(chunk)
    return value.detach()


def _rng_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


@contextmanager
def _replayed(state: tuple[Tensor, Tensor | None], device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1], device)
        yield
