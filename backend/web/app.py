"""The web application: routes, error handlers, middleware. It never loads torch; workers do the work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from backend.settings import Settings
from backend.web import api, dashboard, label_studio, project_page
from backend.web.error_handlers import add_error_handlers
from backend.web.html import STATIC
from backend.web.security import Guard
from backend.web.services import Services
from backend.web.thread_limiter import ThreadLimiter
from wsol_core import __version__


def create_app(
    settings: Settings, services: Services, metrics: Callable[[], Response], background: AbstractContextManager[None]
) -> FastAPI:
    """Args: background: is entered while the application runs."""

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        await run_sync(lambda: None)  # loads what the first request would wait for
        with background:
            yield

    app = FastAPI(
        title="Boxstrap",
        version=__version__,
        lifespan=running,
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.thread_limiter = ThreadLimiter()
    app.include_router(label_studio.router)
    app.include_router(api.router)
    app.include_router(dashboard.router)
    app.include_router(project_page.router)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_api_route("/metrics", metrics, include_in_schema=False)
    app.add_middleware(Guard, settings=settings)
    add_error_handlers(app)
    return app
