"""The shape of `scratch`, the small untrained encoder: numbers only, so that the page can show them without torch."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.recipe.architecture import EncoderInfo

SCRATCH_VOCAB_SIZE = 8000
"""At most; a small data set has fewer tokens."""

SCRATCH_SHAPE: Mapping[str, int] = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": 256,
}


def _count(vocab_size: int, shape: Mapping[str, int]) -> int:
    width, inner = shape["hidden_size"], shape["intermediate_size"]
    embeddings = (vocab_size + shape["max_position_embeddings"] + 2 + 2) * width
    layer = 4 * (width + 1) * width + (width + 1) * inner + (inner + 1) * width + 4 * width
    pooler = (width + 1) * width
    return embeddings + shape["num_hidden_layers"] * layer + pooler


SCRATCH_INFO = EncoderInfo(
    name="scratch",
    source="scratch",
    model_type="bert",
    width=SCRATCH_SHAPE["hidden_size"],
    num_parameters=_count(SCRATCH_VOCAB_SIZE, SCRATCH_SHAPE),
    max_seq_length=128,
    max_positions=SCRATCH_SHAPE["max_position_embeddings"],
    pretrained=False,
    vocab_size=SCRATCH_VOCAB_SIZE,
)
