"""The Chromium that tests look at pages with."""

from __future__ import annotations

import os
import shutil

import pytest


def chromium_program() -> str:
    """Its program; where there is none the test is skipped, in CI it fails."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sentence = "There is no Chromium here; install Debian's package chromium."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return program
