"""Encodes the texts that a run measures on, which are the same at each of a dozen evaluations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation import encode_batch
from workbench.models import SentenceTransformer


class RememberedTexts:
    """Vectors of texts by a model whose weights change and whose tokenizer stays: each text is tokenised once.

    Args:
        model: The model.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        self.model = model
        self._token_ids: dict[str, list[int]] = {}

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        """Return what the model's `encode` would, float32 (texts, width)."""
        prefix, prompt_length = self.model.prompt_of()
        known = self._token_ids
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, self.model.tokenize([prefix + text for text in new]), strict=True))
        distinct = list(dict.fromkeys(texts))
        vectors = self.model.encode_token_ids(
            [known[text] for text in distinct], encode_batch(self.model.device.type), prompt_length=prompt_length
        )
        place = {text: index for index, text in enumerate(distinct)}
        found: NDArray[np.float32] = vectors.cpu().numpy()[[place[text] for text in texts]]
        return found
