"""The page at /: all projects, and whether everything runs. Programs get a line of JSON that says that it is up.

Rendered here once; static/dashboard.js then keeps it fresh through /api.
"""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, Response

from backend.web import api
from backend.web.api import show_status
from backend.web.html import page, prefers_html
from backend.web.label_studio import UP
from backend.web.services import Services, TheServices
from wsol_core.evaluation.page import STYLESHEET

router = APIRouter(include_in_schema=False)


@router.get("/")
async def start(request: Request, all_services: TheServices) -> Response:
    """Return the page to browsers, a line of JSON to programs."""
    if not prefers_html(request.headers.get("accept", "")):
        return JSONResponse(UP, headers={"Vary": "Accept"})
    own_url = str(request.base_url).rstrip("/")
    return await run_sync(lambda: show(all_services, own_url))


@router.get("/static/page.css")
def stylesheet() -> Response:
    """Return the stylesheet of all pages."""
    return FileResponse(STYLESHEET, media_type="text/css")


def show(all_services: Services, own_url: str) -> Response:
    """Return the page. Args: own_url: the address that the browser knows us by."""
    shown = api.projects(all_services)
    projects = shown["projects"]
    status = show_status(all_services.status.now())
    return page(
        "dashboard.html",
        root="",
        projects=sorted(projects, key=lambda project: not project["active_runs"]),  # what is being trained comes first
        steps={project["id"]: all_services.pages.next_step(project["id"]) for project in projects},
        notices=shown["notices"],
        status=status,
        revision=f"{shown['revision']} {status['revision']}",
        own_url=own_url,
    )
