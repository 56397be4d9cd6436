"""Texts measured over and over are tokenised once, and give what `encode` gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.models import SentenceTransformer
from workbench.training.remembered import RememberedTexts


@pytest.mark.parametrize("prompt", [None, "please find: "])
def test_the_vectors_are_those_of_encode_while_the_weights_change(
    prompt: str | None, tiny_bert: Path, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = SentenceTransformer(tiny_bert, device="cpu")
    if prompt:
        model.prompts, model.default_prompt_name = {"query": prompt}, "query"
    asked: list[str] = []
    tokenize = model.encoder.tokenize
    monkeypatch.setattr(model.encoder, "tokenize", lambda texts: asked.extend(texts) or tokenize(texts))
    encode = RememberedTexts(model)
    for texts in (sentences[:70], [*sentences[:70], sentences[3], sentences[80]]):
        asked.clear()
        found = encode(texts)
        new = [text for text in asked if text != prompt]
        assert len(new) == (70 if len(texts) == 70 else 1)
        assert np.array_equal(found, model.encode(texts, batch_size=64))
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(1.01)
