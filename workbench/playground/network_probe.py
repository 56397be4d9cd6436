"""The computing half of a dry pass: builds the network as a run would and looks at what each layer returns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench.models import SentenceTransformer, build_network
from workbench.models.layer import Features
from workbench.playground.dry_pass import (
    SATURATED_AT,
    DryPass,
    DryPassRequest,
    LayerReport,
    PairReport,
    TextReport,
    shorten,
)
from workbench.recipe.layers import LAYERS

_EQUAL = 1e-6
"""Vectors that differ by less, relative to their largest number, are equal: float32 has no more digits."""


def run_dry_pass(request: DryPassRequest) -> DryPass:
    """Build the network and pass the rows through it, on the CPU and in evaluation mode.

    Raises:
        ModelError: If the base is missing or cannot be read.
    """
    start = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(request.seed)
        model, _ = build_network(
            request.base, request.architecture, Path(request.home), request.vocabulary, request.seed, torch.device("cpu")
        )
    report = probe(model, request)
    return DryPass(**{**report, "seconds": round(time.perf_counter() - start, 2)})


def probe(model: SentenceTransformer, request: DryPassRequest) -> dict[str, Any]:
    """Return the fields of `DryPass` but its seconds.

    Args:
        model: The network.
        request: Its rows; base and layers are not looked at.
    """
    texts = [text for column in request.columns for text in column]
    token_ids = model.tokenize(texts)
    of_texts = model.count_tokens(texts).by_text()
    # Equal sequences once, sorted by length: that is how a packed batch wants them.
    distinct = sorted({tuple(ids) for ids in token_ids}, key=lambda ids: (len(ids), ids))
    reports, vectors = _watch(model, distinct)
    place = {ids: index for index, ids in enumerate(distinct)}
    embedded = vectors[[place[tuple(ids)] for ids in token_ids]].double()
    rows = len(request.rows)
    described = [
        TextReport(request.rows[index % rows], request.roles[index // rows], shorten(text), **of_texts[index])
        for index, text in enumerate(texts)
    ]
    pairs = [
        PairReport(
            number,
            (request.roles[0], role),
            _cosine(embedded[row], embedded[column * rows + row]),
            None if request.values is None else request.values[row],
        )
        for row, number in enumerate(request.rows)
        for column, role in enumerate(request.roles)
        if column
    ]
    return {
        "layers": tuple(reports),
        "texts": tuple(sorted(described, key=lambda text: text.row)),
        "pairs": tuple(pairs),
        "counts": model.count_tokens(request.read, learned=bool(request.vocabulary)),
        "most": model.encoder.max_positions,
    }


def _watch(model: SentenceTransformer, token_ids: Sequence[Sequence[int]]) -> tuple[list[LayerReport], Tensor]:
    """Run the network once; return a report a layer, and the sentence vectors (texts, width)."""
    reports: list[LayerReport] = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, features: reports.append(_report(module, features))) for module in model
    ]
    try:
        with torch.inference_mode():
            model.eval()
            features = model(model.encoder.collate(token_ids, model.device))
    finally:
        for hook in hooks:
            hook.remove()
    return reports, features["sentence_embedding"].float().cpu()


def _report(module: nn.Module, features: Features) -> LayerReport:
    if "sentence_embedding" in features:
        port, vectors = "sentence", features["sentence_embedding"]
        shape = tuple(vectors.shape)
    else:
        port, layout, x = "tokens", features["layout"], features["token_embeddings"]
        padded = layout.to_padded(x)
        shape = tuple(padded.shape)
        vectors = padded[layout.padded_mask()]
    numbers = vectors.float().cpu()
    finite = numbers[torch.isfinite(numbers)]
    activation = getattr(module, "activation_name", None)
    spread = (numbers.amax(dim=0) - numbers.amin(dim=0)).max() if len(numbers) else numbers.new_zeros(())
    whole = len(finite) == numbers.numel() > 0
    return LayerReport(
        title=_TITLES.get(type(module).__name__, type(module).__name__),
        port=port,
        shape=shape,
        lowest=float(finite.min()) if len(finite) else None,
        highest=float(finite.max()) if len(finite) else None,
        mean_size=float(finite.abs().mean()) if len(finite) else None,
        non_finite=numbers.numel() - len(finite),
        constant=bool(spread <= _EQUAL * numbers.abs().max().clamp(min=1e-12)) if whole and len(numbers) > 1 else None,
        zero_vectors=int((numbers == 0).all(dim=1).sum()) if port == "sentence" else 0,
        zeros=float((numbers == 0).float().mean()) if numbers.numel() else 0.0,
        saturated=float((numbers.abs() > SATURATED_AT).float().mean()) if activation == "tanh" else None,
        activation=activation,
    )


_TITLES = {entry.cls.partition(":")[2]: entry.title for entry in LAYERS.values()}


def _cosine(first: Tensor, second: Tensor) -> float | None:
    length = first.norm() * second.norm()
    if not torch.isfinite(length) or length == 0:
        return None
    return float((first @ second / length).clamp(-1, 1))
