"""How a refusal is said over HTTP: one sentence, whatever was wrong."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from workbench.errors import InputError, WorkbenchError
from workbench.settings import Settings
from workbench.ui.headers import safety_headers


def add_refusals(app: FastAPI, settings: Settings) -> None:
    """Have an application answer every error with `{"error": SENTENCE}`.

    Args:
        app: The application.
        settings: Of the headers that every answer has.
    """
    headers = dict(safety_headers(settings))

    def answer_mistake(request: Request, error: Exception) -> JSONResponse:
        # Answered outside of all middleware, which would else put the headers on. The traceback goes to the server's log.
        words = f"The workbench made a mistake ({type(error).__name__}); the server's output has the details."
        return JSONResponse({"error": words}, 500, headers)

    app.add_exception_handler(WorkbenchError, answer_error)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(Exception, answer_mistake)


def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a `WorkbenchError` with its sentence: 404 for what does not exist or is not valid, else 409."""
    assert isinstance(error, WorkbenchError)
    return JSONResponse({"error": error.message}, 404 if isinstance(error, InputError) else 409)


def answer_invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose values have the wrong types, without sending them back: 422."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return JSONResponse({"error": f"`{place[:100]}` cannot be used: {first['msg'][:300]}."}, 422)
