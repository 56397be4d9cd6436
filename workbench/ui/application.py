"""The whole web application: the gate, the routes, the static files, and Gradio mounted last."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from workbench.errors import WorkbenchError
from workbench.settings import Settings, prepare_home
from workbench.ui.api.outcome import create_outcome_routes
from workbench.ui.api.routes import answer_error, create_routes
from workbench.ui.context import Context
from workbench.ui.gate import Gate
from workbench.ui.headers import SafetyHeaders
from workbench.ui.streams import Streams, streams_script

STATIC = Path(__file__).parent / "static"
LONGEST_UPLOAD = "4gb"


def create_app(settings: Settings) -> FastAPI:
    """Build the application. Nothing listens yet.

    Args:
        settings: Where the workbench lives and how it listens.

    Raises:
        InputError: If the home folder cannot be created.
    """
    prepare_home(settings.home)
    # Gradio keeps uploads where this variable points; they belong under the home, not in a shared temporary folder.
    os.environ["GRADIO_TEMP_DIR"] = str(settings.home / "cache")

    import gradio as gr

    from workbench.ui.blocks import TAB_SCRIPT, create_blocks
    from workbench.ui.kept import kept_script
    from workbench.ui.pages.train import TYPING_SCRIPT
    from workbench.ui.theme import create_theme
    from workbench.ui.uploads import prune_uploads

    context = Context(settings)
    prune_uploads(settings.home)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        context.close()

    app = FastAPI(title="Workbench", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.context = context
    blocks = create_blocks(context)
    # Gradio asks whether a file named by path was uploaded only once its blocks are launched, which mounting never sets.
    blocks.has_launched = True
    # Gradio has no public name for it.
    app.add_middleware(Streams, waits=lambda session: bool(blocks._queue.pending_event_ids_session.get(session)))
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(SafetyHeaders)
    app.add_exception_handler(WorkbenchError, answer_error)
    app.include_router(create_routes(context))
    app.include_router(create_outcome_routes(context))

    plotly = plotly_script()

    @app.get("/wb-static/plotly.min.js", include_in_schema=False)
    def plotly_js() -> FileResponse:
        return FileResponse(plotly, media_type="text/javascript", headers={"Cache-Control": "max-age=86400"})

    # Gradio has a /static of its own.
    app.mount("/wb-static", StaticFiles(directory=STATIC), name="static")
    return gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        theme=create_theme(),
        head=streams_script() + stylesheet_link() + TAB_SCRIPT + TYPING_SCRIPT + kept_script(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        show_error=True,
        pwa=False,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        max_file_size=LONGEST_UPLOAD,
        favicon_path=str(STATIC / "favicon.svg"),
    )


def stylesheet_link() -> str:
    """Return the link to our style sheet, renamed by its content so that a browser never shows an old one.

    A style sheet given to Gradio as `css` is rewritten rule by rule on the page, which loses borders that use variables.
    """
    digest = hashlib.sha256((STATIC / "workbench.css").read_bytes()).hexdigest()[:12]
    return f'<link rel="stylesheet" href="wb-static/workbench.css?v={digest}">'


def plotly_script() -> Path:
    """Return plotly's own script, which the charts use; it ships with the Python package."""
    spec = find_spec("plotly")
    assert spec is not None and spec.origin is not None, "plotly is in requirements.txt"
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"
