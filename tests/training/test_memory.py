"""A want of memory is named by what was being done, with the remedy that helps there."""

import pytest
import torch

from workbench.errors import RunError
from workbench.recipe import TrainingConfig
from workbench.training import memory

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("settings", "message", "field"),
    [
        ({"batch_size": 64}, "batches of 64 rows; set `micro_batch_size` to 32, which changes nothing", "micro_batch_size"),
        (
            {"batch_size": 64, "micro_batch_size": 9},
            "64 rows, 9 embedded at a time; set `micro_batch_size` to 4",
            "micro_batch_size",
        ),
        ({"batch_size": 64, "micro_batch_size": 1}, "one row embedded at a time; shorten `max_seq_length`", "max_seq_length"),
    ],
)
def test_steps(error: BaseException, settings: dict, message: str, field: str) -> None:
    with pytest.raises(RunError, match=message) as caught, memory.training(TrainingConfig(**settings), CUDA):
        raise error
    assert caught.value.message.startswith("The GPU ran out of memory") and caught.value.field == field


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_measurements(error: BaseException) -> None:
    words = "This machine ran out of memory while the base was measured; shorten"
    with pytest.raises(RunError, match=words) as caught, memory.measuring("the base", CPU):
        raise error
    assert "`micro_batch_size` changes nothing here" in caught.value.message


def test_another_error_is_left_alone() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), memory.measuring("the base", CPU):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
