"""In which numbers a run trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch

BF16_WIDTH = 128
"""Narrower encoders gain nothing from bf16 on a CPU: casting back and forth takes the time that shorter numbers save."""

_CPU_CHECKS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
_WITHOUT_BF16 = {
    "cuda": "this GPU has no bf16 arithmetic; Ampere and later have",
    "cpu": "this CPU has no bf16 arithmetic that is known to pay (AVX512-BF16 or AMX)",
    "mps": "bf16 is not known to pay on Apple GPUs",
}


@dataclass(frozen=True)
class Precision:
    """In which numbers the encoder computes while training.

    Weights, the optimiser's state, the loss and every measurement stay float32.

    Attributes:
        name: `fp32`, `bf16` or `fp16`.
        reason: Why this one, a half sentence.
        tf32: Whether a GPU may round the factors of the matrix products that are left in float32, those of the loss for one; in
            steps only, so that base and tuned model are measured alike.
    """

    name: str
    reason: str
    tf32: bool = False

    @property
    def sentence(self) -> str:
        """For the log."""
        return f"Precision {self.name}: {self.reason}. Weights and measurements are fp32."


def choose_precision(asked: str, device: torch.device, width: int) -> Precision:
    """Return the precision of a run, `auto` settled.

    Args:
        asked: `auto`, `fp32`, `bf16` or `fp16`.
        device: Where it trains.
        width: Width of the encoder's token vectors.
    """
    if asked != "auto":
        return Precision(asked, "as asked for")
    if not has_bf16(device):
        return Precision("fp32", _WITHOUT_BF16[device.type])
    if device.type == "cuda":
        return Precision("bf16", "this GPU has bf16 arithmetic", tf32=True)
    if width < BF16_WIDTH:
        return Precision("fp32", f"an encoder {width} wide gains nothing from this CPU's bf16; {BF16_WIDTH} wide would")
    return Precision("bf16", "this CPU has bf16 arithmetic")


def has_bf16(device: torch.device) -> bool:
    """Return whether a device computes bf16 natively and faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    # By name, since torch has no public name for them that older versions know, and not every build has them all.
    return device.type == "cpu" and any(getattr(torch.cpu, check, lambda: False)() for check in _CPU_CHECKS)
