"""A page as the tests read it, and how a browser asks for one."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx

from tests.backend.web.serving import Site

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
EVIL = "<script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data

    def buttons(self) -> list[str]:
        """Addresses of the buttons that can be pressed."""
        found = [attributes for tag, attributes in self.tags if tag == "button"]
        return [str(attributes["data-post"]) for attributes in found if "disabled" not in attributes]


def get(site: Site, path: str = "/") -> httpx.Response:
    return site.client.get(path, headers={"Accept": BROWSER})


def page(site: Site, path: str = "/") -> Page:
    answer = get(site, path)
    assert answer.status_code == 200
    return Page(answer.text)
