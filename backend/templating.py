"""The Jinja environment of all HTML pages: values are escaped, and an undefined name is an error."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

_CODE = re.compile(r"`([^`\n]+)`")


def template_environment(templates: Path) -> Environment:
    """The environment for the templates in a folder; `prose` is a filter of all of them."""
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,  # titles and class names are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    return environment


def prose(text: str) -> Markup:
    """Return a sentence of ours as HTML: commands stand between backticks in it, as they do in a terminal.

    Example:
        >>> prose("Start `boxstrap up`.")
        Markup('Start <code>boxstrap up</code>.')
    """
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))
