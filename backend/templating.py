"""The Jinja environment of all HTML pages: values are escaped, and an undefined name is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def template_environment(templates: Path) -> Environment:
    """The environment for the templates in a folder."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,  # titles and class names are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
