"""What the pages share: the headers that keep other sites out, and how values are shown."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC: Final = Path(__file__).with_name("static")
TEMPLATES: Final = Path(__file__).with_name("templates")
MOST_VERSIONS: Final = 5  # are shown; older ones are folded away
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


def page(template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """Return a page. Args: root: among the values, the way from the page to the start page, such as "../"."""
    return HTMLResponse(_environment().get_template(template).render(values), status_code, headers=HEADERS)


@functools.cache
def _environment() -> Environment:
    from backend.templating import template_environment  # Jinja: only who looks at a page needs it
    from backend.wording import counted, lasting, percent
    from wsol_core.evaluation.page import MARK

    environment = template_environment(TEMPLATES)
    environment.globals |= {"mark": MARK, "most_versions": MOST_VERSIONS}
    environment.filters |= {
        "counted": counted,
        "moment": moment,
        "figure": figure,
        "is_link": is_link,
        "lasting": lasting,
        "share": percent,
    }
    return environment


def moment(seconds: float | None) -> str:
    """Return a time as 2026-11-21 13:05, in UTC; the page's script shows the reader's own."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def figure(value: Any) -> str:
    """Return a number with 3 digits, or all of a whole one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def is_link(address: str) -> bool:
    """Return whether an address may be a link: others could be scripts."""
    return address.startswith(("http://", "https://"))


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
