"""How a batch is embedded, decided once for every loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from workbench.models import Layout, SentenceTransformer
from workbench.models.layer import Features
from workbench.models.layout import PaddedLayout
from workbench.models.token_ids import TokenIds
from workbench.training.batch import Batch
from workbench.training.distributed import ALONE, ProcessGroup

PADDED_CHUNK = 32
"""Sentences of like length that share a padded forward pass on the CPU; a GPU takes the whole batch at once."""


@dataclass
class Padding:
    """How many token positions were computed, and how many of them were padding."""

    positions: int = 0
    padded: int = 0

    def count(self, layout: Layout, tokens: int) -> None:
        """Add one forward pass over some tokens; what is on a GPU is not looked at, which would wait for it."""
        self.add(layout.mask.numel() if isinstance(layout, PaddedLayout) else tokens, tokens)

    def add(self, positions: int, tokens: int) -> None:
        """Add some positions, of which so many were tokens."""
        self.positions += positions
        self.padded += positions - tokens

    @property
    def fraction(self) -> float:
        """Padded positions over all positions."""
        return self.padded / self.positions if self.positions else 0.0


def embed(
    model: SentenceTransformer,
    batch: Batch,
    padding: Padding | None = None,
    sentences: int | None = None,
    processes: ProcessGroup = ALONE,
) -> list[Tensor]:
    """Return the sentence vectors of each text column of a batch, each (rows, width).

    Args:
        model: The network.
        batch: What to embed.
        padding: Counts what was computed, if given.
        sentences: How many hold what backward needs at a time: where there are more, they are embedded in chunks, and each chunk once
            more in backward. This is gradient caching (Gao et al. 2021) by torch's checkpoints; dropout draws the same numbers both
            times, so the result is that of the plain way. None for all of them.
        processes: The processes that share the work; each gets the vectors of all.
    """
    share = processes.shard(batch.token_ids)
    if batch.features is not None:
        if padding is not None:
            padding.count(batch.features["layout"], _tokens_of(share))
        parts = [_forward(model, batch.features)]
    elif sentences is None or sentences >= len(share):
        parts = [_forward(model, _collate(model, ids, padding)) for ids in _chunks(model, share)]
    else:
        parts = [
            checkpoint(_forward, model, _collate(model, share[start : start + sentences], padding), use_reentrant=False)
            for start in range(0, len(share), sentences)
        ]
    vectors = processes.gather(torch.cat(parts), len(batch.token_ids))
    # Not by []: its way back sorts the rows first.
    return [vectors.index_select(0, column.to(vectors.device)) for column in batch.columns]


def prepare(model: SentenceTransformer, batch: Batch, sentences: int | None = None, processes: ProcessGroup = ALONE) -> Batch:
    """Return a batch with the encoder's input ready on its device, where `embed` will take all its sentences in one pass.

    Args:
        model: The network.
        batch: What will be embedded.
        sentences: As for `embed`.
        processes: As for `embed`.
    """
    count = len(batch.token_ids)
    in_parts = sentences is not None and sentences < count
    if processes.size > 1 or in_parts or count > _chunk_size(model, count):
        return batch
    return dataclasses.replace(batch, features=model.encoder.collate(batch.token_ids, model.device))


def _collate(model: SentenceTransformer, token_ids: Sequence[list[int]], padding: Padding | None) -> Features:
    features = model.encoder.collate(token_ids, model.device)
    if padding is not None:
        padding.count(features["layout"], _tokens_of(token_ids))
    return features


def _tokens_of(token_ids: Sequence[list[int]]) -> int:
    return int(TokenIds.of(token_ids).lengths.sum())


def _forward(model: SentenceTransformer, features: Features) -> Tensor:
    """Return the sentence vectors of some sentences, (sentences, width)."""
    # The features are an argument because a checkpoint looks there for the devices whose random numbers it has to keep; the
    # layers write into a copy, which a checkpoint would otherwise keep alive.
    vectors: Tensor = model(dict(features))["sentence_embedding"]
    return vectors


def _chunks(model: SentenceTransformer, token_ids: Sequence[list[int]]) -> Iterator[Sequence[list[int]]]:
    size = _chunk_size(model, len(token_ids))
    for start in range(0, len(token_ids), size):
        yield token_ids[start : start + size]


def _chunk_size(model: SentenceTransformer, sentences: int) -> int:
    # A packed batch has no padding to save by splitting; on a GPU more launches cost more than the padding does.
    return PADDED_CHUNK if model.device.type == "cpu" and not model.encoder.packs else max(sentences, 1)
