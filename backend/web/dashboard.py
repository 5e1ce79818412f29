"""The page at /: what Boxstrap does now, for people. Programs get a line of JSON that says that it is up.

Rendered here once; static/dashboard.js then keeps it fresh through /api.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from backend.web import api
from backend.web.api import show_status
from backend.web.label_studio import UP
from backend.web.services import Services, TheServices

if TYPE_CHECKING:
    from jinja2 import Template

router = APIRouter(include_in_schema=False)

STATIC: Final = Path(__file__).with_name("static")
TEMPLATES: Final = Path(__file__).with_name("templates")
MAIN_FIGURES: Final = ("holdout_top1_accuracy", "holdout_score")  # of a version; the others are folded away
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}


@router.get("/")
async def start(request: Request, all_services: TheServices) -> Response:
    """Return the page to browsers, a line of JSON to programs."""
    if not prefers_html(request.headers.get("accept", "")):
        return JSONResponse(UP, headers={"Vary": "Accept"})
    own_url = str(request.base_url).rstrip("/")
    return HTMLResponse(await run_sync(lambda: page(all_services, own_url)), headers=HEADERS)


def page(all_services: Services, own_url: str) -> str:
    """Return the page's HTML. Args: own_url: the address that the browser knows us by."""
    shown = api.projects(all_services)
    status = show_status(all_services.status.now())
    return _template().render(
        projects=shown["projects"],
        notices=shown["notices"],
        status=status,
        revision=f"{shown['revision']} {status['revision']}",
        own_url=own_url,
    )


def prefers_html(accept: str) -> bool:
    """Return whether an Accept header prefers text/html to JSON."""
    wanted = {"text/html": 0.0, "application/json": 0.0}
    anything = 0.0
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((_quality(text[2:]) for text in parameters if text.startswith("q=")), 1.0)
        if kind in wanted:
            wanted[kind] = quality
        elif kind == "*/*":
            anything = quality
    return wanted["text/html"] > max(wanted["application/json"], anything)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@functools.cache
def _template() -> Template:
    from backend.templating import template_environment  # Jinja: only who looks at the page needs it

    environment = template_environment(TEMPLATES)
    environment.globals["main_figures"] = MAIN_FIGURES
    environment.filters |= {"moment": moment, "figure": figure, "words": words, "is_link": is_link}
    return environment.get_template("dashboard.html")


def moment(seconds: float | None) -> str:
    """Return a time as 2026-11-21 13:05, in UTC; the page's script shows the reader's own."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def figure(value: Any) -> str:
    """Return a number with 3 digits, or all of a whole one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def words(name: str) -> str:
    """holdout_top1_accuracy -> holdout top1 accuracy."""
    return name.replace("_", " ")


def is_link(address: str) -> bool:
    """Return whether an address may be a link: others could be scripts."""
    return address.startswith(("http://", "https://"))
