"""What all HTML pages share: the stylesheet, and the header with the mark. Nothing is loaded from elsewhere."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

STYLESHEET: Final = Path(__file__).with_name("page.css")
MARK: Final = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" fill="#2f6f63"/>'
    '<path d="M7 12V8.5A1.5 1.5 0 0 1 8.5 7H12M20 7h3.5A1.5 1.5 0 0 1 25 8.5V12M25 20v3.5a1.5 1.5 0 0 1-1.5 1.5H20'
    'M12 25H8.5A1.5 1.5 0 0 1 7 23.5V20" fill="none" stroke="#fff" stroke-width="2.2" stroke-linecap="round"/>'
    '<circle cx="16" cy="16" r="4.6" fill="#f3c969"/></svg>'
)


def stylesheet() -> str:
    """The CSS of all pages."""
    return STYLESHEET.read_text(encoding="utf-8")


def header(what: str, home: str | None = None) -> str:
    """The `<header>` of a page that is `what`. Args: home: where the mark leads; None: nowhere."""
    mark = f"{MARK} Boxstrap"
    brand = (
        f'<span class="brand">{mark}</span>' if home is None else f'<a class="brand" href="{escape(home)}">{mark}</a>'
    )
    return f'<header class="top">{brand}<span class="muted">{escape(what)}</span></header>'
