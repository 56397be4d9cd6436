"""How errors reach the page, in one place: the sentence of a `WorkbenchError`, or one sentence for a defect of ours."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from workbench.errors import InputError, WorkbenchError

logger = logging.getLogger("workbench.ui")

Result = TypeVar("Result")

SHOWN_SECONDS = 12.0
"""Long enough to read a sentence; errors that matter longer are shown inline."""


def sentence(error: BaseException) -> str:
    """Return what to show for an error; anything that is not meant for the user is logged with its traceback.

    Args:
        error: What was raised.
    """
    if isinstance(error, WorkbenchError):
        return error.message
    if isinstance(error, gr.Error):
        return str(error.message)
    logger.error("A handler of the page failed", exc_info=error)
    return f"Something went wrong inside the workbench ({type(error).__name__}); the details are in the server's log."


def warn(error: BaseException) -> None:
    """Show an error as a toast and go on."""
    gr.Warning(sentence(error), duration=SHOWN_SECONDS, title="Please check")


def toast(error: BaseException) -> gr.Error:
    """Return the error as Gradio shows it; raise the result to end the handler."""
    title = "Please check" if isinstance(error, InputError) else "Error"
    return gr.Error(sentence(error), duration=SHOWN_SECONDS, title=title, print_exception=False)


def guarded(handler: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap a handler so that whatever it raises ends as one sentence in a toast.

    Args:
        handler: A plain function of component values.
    """

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Result:
        try:
            return handler(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            raise toast(error) from None

    return wrapped
