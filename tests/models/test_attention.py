"""Attention within packed sentences: what it costs beside the plain way, and in which numbers it computes."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from workbench.models import SentenceTransformer
from workbench.models.attention import packed_attention
from workbench.models.transformer import Transformer

HEADS, WIDTH = 2, 8


class CreatedElements(TorchDispatchMode):
    """Counts the elements of every tensor that an operation returns as its own memory, not as a view."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given = {x.untyped_storage().data_ptr() for x in args if isinstance(x, torch.Tensor)}
        for x in result if isinstance(result, list | tuple) else [result]:
            if isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() not in given:
                self.total += x.numel()
        return result


def make_tokens(tokens: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(1, HEADS, tokens, WIDTH, dtype=dtype).requires_grad_() for _ in range(3)]


def count_backward(lengths: list[int]) -> int:
    output, _ = packed_attention(nn.Module(), *make_tokens(sum(lengths)), None, packed_lengths=lengths)
    gradient = torch.ones_like(output)
    with CreatedElements() as created:
        output.backward(gradient)
    return created.total


def test_many_lengths_cost_no_more_memory_than_few() -> None:
    few, many = [50] * 4 + [55] * 4, list(range(1, 21)) * 2
    assert sum(few) == sum(many) == 420
    assert count_backward(sorted(many)) < 1.5 * count_backward(few)


@pytest.mark.parametrize("packed", [True, False])
def test_under_autocast_the_cpu_attends_in_float32(packed: bool) -> None:
    given = make_tokens(12, torch.bfloat16)
    lengths = [3, 3, 6] if packed else None
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = packed_attention(nn.Module(), *given, None, packed_lengths=lengths)
    wanted, _ = packed_attention(nn.Module(), *(x.float() for x in given), None, packed_lengths=lengths)
    assert output.dtype == torch.float32 and torch.equal(output, wanted)


def test_whether_an_encoder_packs_is_found_out_in_float32(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = SentenceTransformer(tiny_bert, device="cpu")
    seen: list[bool] = []
    monkeypatch.setattr(Transformer, "_packing_error", lambda self: float(seen.append(torch.is_autocast_enabled("cpu")) or 0.0))
    with torch.autocast("cpu", torch.bfloat16):
        assert model.encoder.packs
    assert seen == [False]
