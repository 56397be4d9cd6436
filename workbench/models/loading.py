"""What other libraries say of a broken model folder, in one sentence of ours."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager

from workbench.errors import ModelError, is_out_of_memory

_PICKLE_WORDS = ("weights_only", "Weights only", "UnpicklingError")


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Turn whatever a library raises over a model's files into a `ModelError`.

    Args:
        what: What is loaded, as the start of a sentence.

    Raises:
        ModelError: With the first line of what the library says. Its advice on pickles is left out: torch's is to switch its guard off.
    """
    try:
        yield
    except ModelError:
        raise
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # the tokenizers library panics with what is no Exception
        if is_out_of_memory(error):
            raise
        if isinstance(error, pickle.UnpicklingError) or any(words in str(error) for words in _PICKLE_WORDS):
            raise ModelError(
                f"{what} cannot be loaded: its weights are a pickle that is damaged or holds more than numbers, and code in a model is "
                "never run. Take a copy of the model that has model.safetensors.",
                field="base",
            ) from None
        raise ModelError(
            f"{what} cannot be loaded: {first_line(error)}. Download or save it again, or choose another.", field="base"
        ) from None


def first_line(error: BaseException) -> str:
    """Return the beginning of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".:;, ")
