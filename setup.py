"""The long description for package indexes; everything else about the package is in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

README = Path(__file__).with_name("README.md")


def long_description(readme: str) -> str:
    """README.md without its pictures and with its links to files as plain text: an index has none of these files."""
    without_pictures = re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\n*", "", readme)
    return re.sub(r"\[([^]]*)\]\((?!https?:|#)[^)]*\)", r"\1", without_pictures)


setup(
    long_description=long_description(README.read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
