"""Dropout whose random numbers cost little on the CPU.

torch draws them one by one on processors that are not Intel's, which is a tenth of a training step; numpy's SFC64 makes four of
them from each 64-bit number, ten times as fast. Its seed is drawn from torch's generator, so that runs repeat and checkpoints
draw again what they drew before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

_LEVELS = 2**16
_PER_DRAW = 4


def keep_mask(shape: Sequence[int], dropout: float) -> Tensor:
    """Return which numbers are kept, bool on the CPU, each dropped with probability `dropout` to within 1 / 65536."""
    count = int(np.prod(shape))
    threshold = round(dropout * _LEVELS)
    if threshold >= _LEVELS:
        return torch.zeros(*shape, dtype=torch.bool)
    seed = int(torch.randint(torch.iinfo(torch.int64).max, ()))
    generator = np.random.Generator(np.random.SFC64(seed))
    draws = generator.integers(0, 2**64, size=-(-count // _PER_DRAW), dtype=np.uint64).view(np.uint16)[:count]
    return torch.from_numpy(draws >= threshold).view(*shape)


def dropout_factors(shape: Sequence[int], dropout: float, like: Tensor) -> Tensor:
    """Return what numbers on the CPU are multiplied by, of a tensor's type: 0 where dropped, elsewhere what keeps their mean."""
    return keep_mask(shape, dropout).to(like.dtype).div_(1 - dropout or 1.0)


class QuickDropout(nn.Dropout):
    """`nn.Dropout` that draws by `keep_mask` where the input is on the CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with a random share set to zero and the rest scaled up; as it is outside of training."""
        if not self.training or not self.p or self.inplace or input.device.type != "cpu":
            return super().forward(input)
        return input * dropout_factors(input.shape, self.p, input)


def replace_dropout(model: nn.Module) -> None:
    """Put `QuickDropout` in the place of every `nn.Dropout` of a model."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, QuickDropout(child.p, child.inplace))
