"""The network of a recipe, as a run begins with it: a fresh stack on a base, trained layers of the base kept where they fit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from workbench.models.bases import SCRATCH, resolve_base
from workbench.models.folder import read_folder
from workbench.models.layer import Layer
from workbench.models.persistence import default_pooling, load_modules
from workbench.models.scratch import build_scratch
from workbench.models.sentence_transformer import SentenceTransformer
from workbench.models.stack import build_stack
from workbench.models.transformer import Transformer
from workbench.recipe.architecture import ArchitectureSpec


def build_network(
    base: str, architecture: ArchitectureSpec, home: Path, texts: Iterable[str], seed: int, device: torch.device
) -> tuple[SentenceTransformer, SentenceTransformer]:
    """Build a network before its first training step. Weights of new layers come from torch's generator.

    Args:
        base: Base encoder; a run's id must have been resolved to its folder.
        architecture: The layers, encoder first.
        home: The workbench's home, where base encoders are looked up.
        texts: What the tokens of `scratch` are learned from, gone through twice; not looked at for any other base.
        seed: For the weights of `scratch`.
        device: Where the network is put.

    Returns:
        The network to train, and its base as it comes; they share the encoder until the first step.

    Raises:
        ModelError: If the base is missing or cannot be read.
    """
    encoder_spec, *layers = architecture.layers
    limit = encoder_spec.params["max_seq_length"]
    own: list[Layer]
    if base == SCRATCH:
        encoder = build_scratch(texts, seed)
        if limit is not None:
            encoder.max_seq_length = limit
        own_specs = ArchitectureSpec.default().layers[1:]
        own = [encoder, *build_stack(encoder, encoder.get_word_embedding_dimension(), own_specs)[1:]]
    else:
        folder = read_folder(resolve_base(base, home))
        own = load_modules(folder, limit)
        own_specs = folder.layers or (default_pooling(folder),)
        first = own[0]
        assert isinstance(first, Transformer)
        encoder = first
    fresh = build_stack(encoder, encoder.get_word_embedding_dimension(), tuple(layers))
    # As long as the stack is the base's own, its trained weights go on; behind the first difference nothing would fit.
    modules: list[Layer] = [encoder]
    same = True
    for index, spec in enumerate(layers):
        same = same and index < len(own_specs) and own_specs[index] == spec
        modules.append(own[index + 1] if same else fresh[index + 1])
    return SentenceTransformer(modules=modules, device=device), SentenceTransformer(modules=own, device=device)
