"""Templates of the pages that people see, all of them read and escaped the same way."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def template_environment(templates: Path) -> Environment:
    """Of a folder of templates; a name that a template lacks is an error."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,  # titles and class names are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
