"""The errors a user may see.

    WorkbenchError              safe to show: one sentence on what is wrong, what was received and what to do
    ├── InputError              the input or the options are wrong (exit code 2)
    │   ├── ConfigError         a setting of a recipe, a loss or the training is out of range
    │   ├── ArchitectureError   the stack of layers is not one that can be built
    │   ├── DataError           a file or its columns cannot be used
    │   └── ModelError          a base encoder or a model folder cannot be used
    └── RunError                a run failed, or cannot do what was asked of it (exit code 1)
        └── LostProcessError    another process of the run is gone, which is not this one's doing

Whoever raises one writes for the user; the outermost layer (command line, page, worker) renders it. Anything else that
reaches that layer is a defect of ours and is logged with its traceback.
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """An error whose text is meant for the user.

    Args:
        message: What is wrong, the value received, and what to do about it.
        field: The form field or option the message belongs to, or None where there is no single one.
    """

    exit_code = 1

    def __init__(self, message: str, field: str | None = None) -> None:
        # It quotes what files and systems say, and half a character in it would break whatever prints or stores it.
        self.message = message.encode("utf-8", "backslashreplace").decode()
        super().__init__(self.message)
        self.field = field


class InputError(WorkbenchError):
    """The input or the options are wrong; nothing was started."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown or out of range."""


class ArchitectureError(InputError):
    """A stack of layers cannot be built.

    Args:
        message: The reason, and which layer to change.
        layer: Index of the layer to change, counted from the encoder at 0.
    """

    def __init__(self, message: str, layer: int | None = None) -> None:
        super().__init__(message, field="layers")
        self.layer = layer


class DataError(InputError):
    """A data file, or the roles given to its columns, cannot be used."""


class ModelError(InputError):
    """A base encoder or a model folder is missing or cannot be read."""


class RunError(WorkbenchError):
    """A run failed on its own, or its state does not allow what was asked."""


class LostProcessError(RunError):
    """A process of a run on several devices ended because another one is gone; that one's end is the cause."""


_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""In what torch says of a GPU, of the machine, and what CUDA's libraries say (CUBLAS_STATUS_ALLOC_FAILED and the like)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory did not suffice, of the machine or of a GPU."""
    # By name and words: torch is not imported everywhere, and its libraries raise plain RuntimeErrors.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error) for words in _OUT_OF_MEMORY)
    )
