"""What files of weights say of themselves, read without torch: names, shapes, and whether all numbers are numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.errors import ModelError
from workbench.json_text import load_json

_LARGEST_HEADER = 100_000_000
_AT_ONCE = 1 << 24

_BYTES: Mapping[str, float] = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F4": 0.5, "F6_E2M3": 0.75, "F6_E3M2": 0.75,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
_EXPONENTS: Mapping[str, tuple[str, int]] = {
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F32": ("<u4", 0x7F800000),
    "F64": ("<u8", 0x7FF0000000000000),
}
"""For each kind of number the whole number it is read as, and the bits that are all set in infinities and in no number at all."""


@dataclass(frozen=True)
class StoredTensor:
    """One entry of a safetensors header.

    Attributes:
        dtype: As the file writes it, `F32`.
        shape: Its sizes.
        start: Where its bytes begin, from the beginning of the file.
        end: Where they end.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(file: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file by name.

    Raises:
        ModelError: If the header is cut off, says something impossible, or names bytes that the file does not have.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(_LARGEST_HEADER, size - 8):
                raise ValueError(f"it has {size:,} bytes, and its header should have {length:,}")
            header = load_json(stream.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is no JSON object")
        begin = 8 + length
        return {
            str(name): _read_entry(name, entry, begin, size - begin) for name, entry in header.items() if name != "__metadata__"
        }
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The weights in `{file}` cannot be read: {error}; the file is cut off or damaged. Download or save it again.",
            field="base",
        ) from None


def _read_entry(name: str, entry: object, begin: int, available: int) -> StoredTensor:
    if isinstance(entry, Mapping):
        dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
        sizes, ends = _whole_numbers(shape), _whole_numbers(offsets)
        if isinstance(dtype, str) and sizes is not None and ends is not None and len(ends) == 2:
            start, end = ends
            # As a product of whole numbers it cannot overflow, however large the sizes are.
            needed = math.prod(sizes) * _BYTES.get(dtype, 0)
            if start <= end <= available and (dtype not in _BYTES or needed == end - start):
                return StoredTensor(dtype, sizes, begin + start, begin + end)
    raise ValueError(f"its header does not fit the file at {name!r}")


def _whole_numbers(values: object) -> tuple[int, ...] | None:
    if isinstance(values, list) and all(type(value) is int and value >= 0 for value in values):
        return tuple(values)
    return None


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of one module."""
    return sorted(folder.glob("*.safetensors"))


def refuse_non_finite(folders: Iterator[Path] | list[Path]) -> None:
    """Refuse weights that hold NaN or infinities, of which nothing could be trained.

    Args:
        folders: Of the modules. Weights in another format than safetensors are not looked at.

    Raises:
        ModelError: Naming the first such weight.
    """
    for folder in folders:
        for file in weight_files(folder):
            for name, tensor in read_header(file).items():
                if tensor.dtype in _EXPONENTS and not _all_finite(file, tensor):
                    raise non_finite_error(f"{name} in `{file}`")


def non_finite_error(where: str) -> ModelError:
    """Return the error of weights that are no numbers.

    Args:
        where: Which weight, for the sentence.
    """
    return ModelError(
        f"The weights of the model are damaged: {where} holds numbers that are NaN or infinite. "
        "Download or save the model again, or choose another.",
        field="base",
    )


def _all_finite(file: Path, tensor: StoredTensor) -> bool:
    kind, exponent = _EXPONENTS[tensor.dtype]
    count = (tensor.end - tensor.start) // np.dtype(kind).itemsize
    with file.open("rb") as stream:
        stream.seek(tensor.start)
        for start in range(0, count, _AT_ONCE):
            bits = np.fromfile(stream, dtype=kind, count=min(_AT_ONCE, count - start))
            if bool(((bits & exponent) == exponent).any()):
                return False
    return True
