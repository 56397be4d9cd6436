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

from workbench.settings import Settings, hidden_socks_proxies, prepare_home
from workbench.ui.access import Gate
from workbench.ui.api.outcome import create_outcome_routes
from workbench.ui.api.refusals import add_refusals
from workbench.ui.api.routes import create_routes
from workbench.ui.bodies import Bodies
from workbench.ui.context import Context
from workbench.ui.credentials import Credentials, read_access_token
from workbench.ui.headers import SafetyHeaders
from workbench.ui.presence import Presence
from workbench.ui.proxies import ReverseProxy
from workbench.ui.streams import Streams, streams_script
from workbench.ui.stubs import without_stub_files
from workbench.ui.uploads import CACHE_FOLDER, clear_leftovers, prune_uploads

STATIC = Path(__file__).parent / "static"
LONGEST_UPLOAD = "4gb"


def create_app(settings: Settings) -> FastAPI:
    """Build the application. Nothing listens yet.

    Args:
        settings: Where the workbench lives and how it listens.

    Raises:
        InputError: If the home folder cannot be created, or the access token not kept in it.
    """
    prepare_home(settings.home)
    # Gradio keeps uploads where this variable points; they belong under the home, not in a shared temporary folder.
    os.environ["GRADIO_TEMP_DIR"] = str(settings.home / CACHE_FOLDER)

    # Gradio makes its HTTP client when it is imported, though nothing here ever asks another host.
    with hidden_socks_proxies(), without_stub_files():
        import gradio as gr

    from workbench.ui.blocks import TAB_SCRIPT, create_blocks
    from workbench.ui.components._script import shared_scripts
    from workbench.ui.pages.train import TYPING_SCRIPT
    from workbench.ui.playground_state import kept_script
    from workbench.ui.theme import create_theme

    context = Context(settings)
    token = read_access_token(settings.home) if settings.needs_token and settings.auth is None else None
    presence = Presence(settings.home)
    if presence.alone:
        clear_leftovers(settings.home)
    prune_uploads(settings.home)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        context.close()
        presence.leave()

    app = FastAPI(title="Workbench", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.context = context
    app.state.token = token
    blocks = create_blocks(context)
    # Only a launched application of Gradio's refuses files that a request names by path, and mounting never says so.
    blocks.has_launched = True
    # Gradio has no public name for it.
    app.add_middleware(Streams, waits=lambda session: bool(blocks._queue.pending_event_ids_session.get(session)))
    app.add_middleware(Bodies)
    app.add_middleware(Gate, settings=settings, credentials=Credentials(settings, token))
    app.add_middleware(ReverseProxy, settings=settings)
    app.add_middleware(SafetyHeaders, settings=settings)
    add_refusals(app, settings)
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
        root_path=settings.root_path or None,
        theme=create_theme(),
        head=streams_script() + shared_scripts() + stylesheet_link() + TAB_SCRIPT + TYPING_SCRIPT + kept_script(),
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
