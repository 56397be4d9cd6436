"""The settings of the training loop, as one table and one frozen dataclass."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from workbench.errors import ConfigError
from workbench.recipe.parameters import Parameter, check_parameters

PRETRAINED_LEARNING_RATE = 2e-5
USUAL_WIDTH = 768
LARGEST_LEARNING_RATE = 3e-4
"""A pretrained encoder narrower than `USUAL_WIDTH` takes larger steps, by the square of how much narrower it is, up to the largest of
the rates at which the small BERTs of Turc et al. (2019) were fine-tuned. With 2e-5 for all, `mini` (144 wide) gains 0.009 on the
held-out sample instead of 0.117, and all-MiniLM-L6-v2 (384) ends three epochs of STS pairs, over two seeds, at 0.859 and 0.894 on
validation instead of 0.877 and 0.899."""
SCRATCH_LEARNING_RATE = 5e-4
LEAST_VALIDATION_ROWS = 30
"""With fewer validation rows the best of a dozen evaluations is luck: none of them picks a step, and the last one is kept."""

TRAINING_PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "epochs", "float", 3.0, "How often the model sees every training row.", 0.01, 1000, unit="passes", habitual="1 to 10"
    ),
    Parameter(
        "batch_size",
        "int",
        32,
        "Rows that are compared and learned from together, on all devices.",
        1,
        65536,
        unit="rows",
        habitual="16 to 128",
    ),
    Parameter(
        "learning_rate",
        "float",
        "auto",
        "How far one step moves the weights; auto is 2e-5 for a pretrained encoder 768 wide, more for a narrower one "
        "(384: 8e-5, 192: 3e-4), and 5e-4 for an untrained one.",
        1e-8,
        1.0,
        auto=True,
        habitual="1e-5 to 1e-4",
    ),
    Parameter(
        "warmup_ratio",
        "float",
        0.1,
        "Share of the steps in which the learning rate rises from zero.",
        0.0,
        1.0,
        habitual="0 to 0.2",
    ),
    Parameter(
        "max_steps",
        "int",
        None,
        "Ends the training after this many steps, whatever `epochs` says; empty for no limit.",
        1,
        10**9,
        optional=True,
        unit="steps",
    ),
    Parameter(
        "eval_steps",
        "int",
        None,
        "Steps between two evaluations on the validation part; empty for about ten in a run.",
        1,
        10**9,
        optional=True,
        unit="steps",
    ),
    Parameter("weight_decay", "float", 0.0, "Pulls the weights towards zero at each step (AdamW).", 0.0, 1.0, habitual="0 to 0.1"),
    Parameter(
        "max_grad_norm", "float", 1.0, "Longer gradients are shortened to this length; 0 leaves them alone.", 0.0, 1e6, habitual="1"
    ),
    Parameter(
        "micro_batch_size",
        "int",
        None,
        "Rows embedded at a time on each device; smaller needs less memory and changes nothing else. Empty for all at once.",
        1,
        65536,
        optional=True,
        unit="rows",
    ),
    Parameter(
        "precision",
        "choice",
        "auto",
        "Number format while training; auto is bf16 where the GPU or CPU computes it fast and the encoder is wide enough to gain, "
        "and fp32 elsewhere. Measured is in fp32 always.",
        choices=("auto", "fp32", "bf16", "fp16"),
    ),
    Parameter(
        "cuda_graphs",
        "choice",
        "auto",
        "Whether steps on a CUDA GPU are recorded and replayed in one launch each, which is faster for small encoders; auto times a few "
        "steps both ways. Dropout draws other numbers with them, so for runs that repeat say on or off.",
        choices=("auto", "on", "off"),
    ),
    Parameter("seed", "int", 42, "Same seed, same data, same machine: same result; on a GPU to within rounding.", 0, 2**31 - 1),
    Parameter("validation_fraction", "float", 0.1, "Share of the rows held out to pick the best step.", 0.0, 0.8, habitual="0.1"),
    Parameter("test_fraction", "float", 0.15, "Share of the rows held out for the verdict.", 0.0, 0.8, habitual="0.1 to 0.2"),
    Parameter(
        "cross_validation",
        "choice",
        "auto",
        "Whether a set of under 350 rows, too small for a test part, gets its verdict by holding out every row in turn: ten further "
        "trainings after the one whose model is kept.",
        choices=("auto", "off"),
    ),
    Parameter(
        "devices",
        "int",
        1,
        "How many GPUs share each batch, or processes where `device` is cpu; the result is that of one.",
        1,
        16,
    ),
)
"""Everything a form shows as a number or a choice; `device` is checked by pattern below."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class TrainingConfig:
    """How the training loop runs. What each field means is in `TRAINING_PARAMETERS`.

    Raises:
        ConfigError: If a value is out of range, or the two held-out fractions leave nothing to train on.
    """

    epochs: float = 3.0
    batch_size: int = 32
    learning_rate: float | str = "auto"
    warmup_ratio: float = 0.1
    max_steps: int | None = None
    eval_steps: int | None = None
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    micro_batch_size: int | None = None
    precision: str = "auto"
    cuda_graphs: str = "auto"
    seed: int = 42
    validation_fraction: float = 0.1
    test_fraction: float = 0.15
    cross_validation: str = "auto"
    device: str = "auto"
    devices: int = 1

    def __post_init__(self) -> None:
        """Check every field and the two rules that join fields."""
        values = {parameter.name: getattr(self, parameter.name) for parameter in TRAINING_PARAMETERS}
        for name, value in check_parameters(TRAINING_PARAMETERS, values, "").items():
            object.__setattr__(self, name, value)
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise ConfigError(f"`device` must be auto, cpu, mps, cuda or cuda:N, got {self.device!r}.", field="device")
        if self.devices > 1 and self.device not in {"auto", "cpu", "cuda"}:
            raise ConfigError(f"`devices` {self.devices} needs `device` auto, cuda or cpu, got {self.device!r}.", field="devices")
        if self.validation_fraction + self.test_fraction >= 0.95:
            raise ConfigError(
                f"`validation_fraction` {self.validation_fraction:g} and `test_fraction` {self.test_fraction:g} leave too little "
                "to train on; together they must stay below 0.95.",
                field="test_fraction",
            )

    def learning_rate_for(self, pretrained: bool, width: int) -> float:
        """Return the learning rate, `auto` settled by the encoder.

        Args:
            pretrained: Whether its weights have learned anything yet.
            width: Width of its token vectors.
        """
        if not isinstance(self.learning_rate, str):
            return self.learning_rate
        if not pretrained:
            return SCRATCH_LEARNING_RATE
        rate = PRETRAINED_LEARNING_RATE * max(1.0, USUAL_WIDTH / width) ** 2
        return min(LARGEST_LEARNING_RATE, float(f"{rate:.1g}"))

    def total_steps(self, steps_per_epoch: int) -> int:
        """Return the number of optimiser steps, given the number of batches in an epoch."""
        return self.max_steps or max(1, math.ceil(self.epochs * steps_per_epoch))

    def eval_interval(self, total_steps: int) -> int:
        """Return the number of steps between two evaluations."""
        return self.eval_steps or max(1, math.ceil(total_steps / 10))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainingConfig:
        """Read what `to_dict` wrote; missing fields take their default.

        Raises:
            ConfigError: On an unknown field or a bad value.
        """
        known = {item.name for item in fields(cls)}
        for name in data:
            if name not in known:
                raise ConfigError(
                    f"The training settings have no field `{name}`; they have: {', '.join(sorted(known))}.", field=name
                )
        return cls(**data)
