"""The network: modules executed consecutively, the first takes text, the last gives the sentence vector."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from workbench.errors import ConfigError, ModelError
from workbench.models.bases import resolve_base
from workbench.models.folder import read_folder
from workbench.models.layer import Features
from workbench.models.layout import PackedLayout, PaddedLayout
from workbench.models.numerics import fast_float32
from workbench.models.persistence import load_modules, save_modules
from workbench.models.token_counts import TokenCounts
from workbench.models.transformer import Transformer

SIMILARITY_FUNCTIONS = ("cosine", "dot", "euclidean", "manhattan")


class SentenceTransformer(nn.Sequential):
    """A sentence encoder.

    Args:
        model_name_or_path: A sentence-transformers folder, a plain transformers folder (gets mean pooling), or a Hub name.
        modules: Instead of a name: the modules, the encoder first.
        device: Where to compute; None takes a GPU if there is one.

    Raises:
        ModelError: If the model is missing or cannot be read, or both or neither of name and modules are given.

    Example:
        >>> from workbench import SentenceTransformer, models
        >>> encoder = models.Transformer("bert-base-uncased", max_seq_length=256)
        >>> pooling = models.Pooling(encoder.get_word_embedding_dimension())
        >>> model = SentenceTransformer(modules=[encoder, pooling])
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        modules: Iterable[nn.Module] | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        settings: dict[str, Any] = {}
        if model_name_or_path is not None and modules is None:
            folder = read_folder(resolve_base(str(model_name_or_path), Path.cwd()))
            settings = dict(folder.settings)
            modules = load_modules(folder)
        elif modules is None or model_name_or_path is not None:
            raise ModelError("A SentenceTransformer needs either `model_name_or_path` or `modules`.", field="base")
        layers = list(modules)
        if not layers or not isinstance(layers[0], Transformer):
            raise ModelError("The first of `modules` must be a Transformer.", field="layers")
        super().__init__(*layers)
        self.prompts: dict[str, str] = dict(settings.get("prompts") or {})
        self.default_prompt_name: str | None = settings.get("default_prompt_name")
        self.similarity_fn_name: str = settings.get("similarity_fn_name") or "cosine"
        self.truncate_dim: int | None = settings.get("truncate_dim")
        self.to(torch.device(device) if device is not None else best_device())
        self.eval()

    @property
    def encoder(self) -> Transformer:
        """The first module."""
        first = self[0]
        assert isinstance(first, Transformer)
        return first

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def max_seq_length(self) -> int:
        """Longer texts are cut off after this many tokens."""
        return self.encoder.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        if not 0 < value <= self.encoder.max_positions:
            raise ConfigError(
                f"`max_seq_length` must be from 1 to {self.encoder.max_positions}, got {value!r}.", field="max_seq_length"
            )
        self.encoder.max_seq_length = value

    @property
    def tokenizer(self) -> Any:
        """The encoder's tokenizer."""
        return self.encoder.tokenizer

    def get_sentence_embedding_dimension(self) -> int:
        """Return the width of the vectors that `encode` returns."""
        for module in reversed(list(self)):
            measure: Any = getattr(module, "get_sentence_embedding_dimension", None)
            if measure is not None:
                width = int(measure())
                return min(width, self.truncate_dim) if self.truncate_dim else width
        return self.encoder.get_word_embedding_dimension()

    get_embedding_dimension = get_sentence_embedding_dimension

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the `input_ids` of each text."""
        return self.encoder.tokenize(texts)

    def count_tokens(self, texts: Sequence[str], learned: bool = False) -> TokenCounts:
        """Return how much of each text `encode` reads, the model's own prompt included.

        Args:
            texts: What would be encoded.
            learned: Whether the tokens were learned from these texts.
        """
        prefix = self._prompt(None, None)
        return self.encoder.count_tokens([prefix + text for text in texts], learned)

    def forward(self, features: Features) -> Features:
        """Run all modules on features of `Transformer.collate`; the result has `sentence_embedding` (rows, width)."""
        for module in self:
            layout = features.get("layout")
            if isinstance(layout, PackedLayout) and not getattr(module, "packed", False) and "token_embeddings" in features:
                features["token_embeddings"] = layout.to_padded(features["token_embeddings"])
                features["layout"] = PaddedLayout(layout.padded_mask())
            features = module(features)
        if "sentence_embedding" not in features:
            raise ModelError("The network returns no sentence vector; add a Pooling layer.", field="layers")
        return features

    def encode(
        self,
        texts: str | Sequence[str],
        batch_size: int = 32,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        show_progress_bar: bool | None = None,
        convert_to_tensor: bool = False,
    ) -> Any:
        """Return the sentence vectors of texts, in the order given.

        Equal texts are computed once, and texts of like length together. The model's training mode is left as it was.

        Args:
            texts: One text or several.
            batch_size: Texts computed together.
            normalize_embeddings: Whether vectors are scaled to length 1, after truncation.
            truncate_dim: Only the first so many numbers; None for the model's own setting.
            prompt: Text put before each text.
            prompt_name: Name of a prompt the model brings along; None takes its default, if it has one.
            show_progress_bar: Whether to show one on stderr.
            convert_to_tensor: Whether to return a tensor on the model's device instead of an array.

        Returns:
            float32 (number of texts, width); (width,) for one string. An array, or a tensor if asked for.

        Raises:
            ConfigError: If a text is no string, or there is no such prompt.
            ModelError: If a vector holds NaN or infinities.
        """
        single = isinstance(texts, str)
        rows = [texts] if isinstance(texts, str) else list(texts)
        for index, text in enumerate(rows):
            if not isinstance(text, str):
                raise ConfigError(f"`texts` must hold strings only; item {index} is {type(text).__name__}.", field="texts")
        prefix, prompt_length = self.prompt_of(prompt, prompt_name)
        distinct = {text: None for text in rows}
        vectors = self.encode_token_ids(
            self.tokenize([prefix + text for text in distinct]),
            batch_size,
            normalize_embeddings,
            truncate_dim,
            prompt_length,
            bool(show_progress_bar),
        )
        place = {text: index for index, text in enumerate(distinct)}
        vectors = _pick(vectors, [place[text] for text in rows])
        result = vectors[0] if single else vectors
        return result if convert_to_tensor else result.cpu().numpy()

    def encode_token_ids(
        self,
        token_ids: Sequence[Sequence[int]],
        batch_size: int = 32,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        prompt_length: int = 0,
        show_progress_bar: bool = False,
    ) -> Tensor:
        """Return the sentence vectors of texts that are tokens already, in the order given.

        Args:
            token_ids: As `tokenize` returns them.
            batch_size: As for `encode`.
            normalize_embeddings: As for `encode`.
            truncate_dim: As for `encode`.
            prompt_length: How many tokens of each text belong to a prompt.
            show_progress_bar: As for `encode`.

        Returns:
            float32 (number of texts, width), on the model's device.

        Raises:
            ModelError: If a vector holds NaN or infinities.
        """
        order = sorted(range(len(token_ids)), key=lambda index: len(token_ids[index]))
        width = self.get_sentence_embedding_dimension()
        width = width if truncate_dim is None else min(width, truncate_dim)
        parts = [torch.zeros(0, width, device=self.device)]
        starts = range(0, len(order), batch_size)
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode(), fast_float32(self.device):
                for start in tqdm(starts, desc="Encoding", disable=not show_progress_bar):
                    chosen = order[start : start + batch_size]
                    features = self.encoder.collate([token_ids[index] for index in chosen], self.device)
                    features["prompt_length"] = prompt_length
                    output = self.forward(features)["sentence_embedding"].float()[:, :width]
                    parts.append(functional.normalize(output, dim=-1) if normalize_embeddings else output)
        finally:
            self.train(was_training)
        together = torch.cat(parts)
        check_vectors(together, self)
        place = {index: number for number, index in enumerate(order)}
        return _pick(together, [place[index] for index in range(len(order))])

    def prompt_of(self, prompt: str | None = None, prompt_name: str | None = None) -> tuple[str, int]:
        """Return the text put before each text, and how many tokens of each text belong to it.

        Args:
            prompt: As for `encode`.
            prompt_name: As for `encode`.

        Raises:
            ConfigError: If there is no such prompt.
        """
        prefix = self._prompt(prompt, prompt_name)
        return prefix, self._prompt_length(prefix)

    def _prompt(self, prompt: str | None, prompt_name: str | None) -> str:
        if prompt is not None:
            return prompt
        name = prompt_name or self.default_prompt_name
        if name is None:
            return ""
        if name not in self.prompts:
            known = ", ".join(self.prompts) or "none"
            raise ConfigError(f"The model has no prompt {name!r}; it has: {known}.", field="prompt_name")
        return self.prompts[name]

    def _prompt_length(self, prefix: str) -> int:
        """Return how many tokens of each row belong to the prompt, leading special tokens included."""
        if not prefix:
            return 0
        (ids,) = self.tokenize([prefix])
        return len(ids) - int(bool(ids) and ids[-1] in self.tokenizer.all_special_ids)

    def similarity(self, a: NDArray[np.float32] | Tensor, b: NDArray[np.float32] | Tensor) -> Tensor:
        """Return the similarity of every vector of a with every vector of b.

        Args:
            a: (n, width), or (width,) for one.
            b: (m, width), or (width,) for one; may be on another device.

        Returns:
            (n, m), where a is, by the model's `similarity_fn_name`; distances are negated, so that higher is closer.
        """
        left, right = (torch.atleast_2d(torch.as_tensor(x)).float() for x in (a, b))
        right = right.to(left.device)
        match self.similarity_fn_name:
            case "cosine":
                return functional.normalize(left, dim=-1) @ functional.normalize(right, dim=-1).T
            case "dot":
                return left @ right.T
            case "euclidean":
                return -torch.cdist(left, right, p=2)
            case "manhattan":
                return -torch.cdist(left, right, p=1)
        raise ConfigError(
            f"`similarity_fn_name` must be one of {', '.join(SIMILARITY_FUNCTIONS)}, got {self.similarity_fn_name!r}.",
            field="similarity_fn_name",
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a sentence-transformers folder."""
        settings: dict[str, Any] = {
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "similarity_fn_name": self.similarity_fn_name,
        }
        if self.truncate_dim is not None:
            settings["truncate_dim"] = self.truncate_dim
        save_modules(list(self), Path(path), settings)

    save_pretrained = save


def _pick(vectors: Tensor, places: list[int]) -> Tensor:
    # At once, for to copy row numbers to a GPU is to wait for it; a tensor of its own, whatever the places.
    return vectors.index_select(0, torch.tensor(places, dtype=torch.long, device=vectors.device)).clone()


def check_vectors(vectors: Tensor, model: nn.Module) -> None:
    """Refuse vectors that are no numbers, wherever they leave a model: nothing can be measured, searched or stored with them.

    Args:
        vectors: Of any shape.
        model: Where they come from; its first weight that is no number is named.

    Raises:
        ModelError: If there are any.
    """
    if bool(torch.isfinite(vectors).all()):
        return
    broken = [name for name, weight in model.state_dict().items() if not bool(torch.isfinite(weight).all())]
    cause = f"its weights are damaged ({len(broken)} of them, the first is {broken[0]})" if broken else "its weights are too large"
    raise ModelError(
        f"The model gives vectors that hold NaN or infinite numbers: {cause}. Download or save the model again, choose another, "
        "or train it again with a lower `learning_rate`.",
        field="model",
    )


def best_device() -> torch.device:
    """Return a CUDA GPU, else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
