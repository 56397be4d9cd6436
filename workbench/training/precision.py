"""In which number format a run computes. Weights, optimiser and evaluation are float32 in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Precision:
    """What a run computes in.

    Attributes:
        name: `fp32`, `bf16` or `fp16`: the format of the products within the encoder.
        tf32: Whether a GPU may round what is left in float32 to its own TF32; None where there is no such choice.
        reason: Why, in words that go on after the name.
    """

    name: str
    tf32: bool | None
    reason: str

    def arguments(self) -> dict[str, Any]:
        """Return what `TrainingArguments` calls it."""
        return {"bf16": self.name == "bf16", "fp16": self.name == "fp16", "tf32": self.tf32}


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """Return what a run computes in.

    Args:
        wanted: `auto`, or one of the formats.
        device: Where it runs.
    """
    ampere = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8
    if wanted != "auto":
        # Whoever asks for fp32 wants all of its digits.
        return Precision(wanted, (wanted != "fp32") if ampere else None, "as asked for")
    if ampere:
        return Precision("bf16", True, "which this GPU computes fast")
    if device.type == "cpu" and _cpu_computes_bf16():
        return Precision("bf16", None, "which this processor computes fast")
    return Precision("fp32", None, "for want of fast bf16 here")


def _cpu_computes_bf16() -> bool:
    """Return whether the processor has instructions for bf16; without them autocast is slower than float32."""
    return any(bool(getattr(torch.cpu, name, bool)()) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
