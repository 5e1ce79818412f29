"""What people read on stderr and in a service's log."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from backend.terminal import logs_on_stderr
from wsol_core.networks.pretrained import pretrained_state

CODE = """
import logging
import warnings
from backend.terminal import log_to_stderr
log_to_stderr("INFO")
warnings.warn_explicit("broken tag 7", UserWarning, "TiffImagePlugin.py", 7, "PIL.TiffImagePlugin")
logging.getLogger("backend.x").info("hello")
logging.getLogger("backend.x").debug("too much")
logging.getLogger("httpx").info("GET http://x/?token=s3cret")
logging.getLogger("urllib3").warning("slow")
"""


def test_a_services_log_has_a_line_a_record_and_no_requests_of_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert re.fullmatch(r"[\d-]+ [\d:,]+ INFO backend\.x: hello", first)
    assert second.endswith(" WARNING urllib3: slow")


def test_a_warning_of_missing_weights_names_the_variable_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    with logs_on_stderr(debug=False):
        pretrained_state("resnet18", None, allow_download=False)
    assert "put resnet18.pt into a folder and give that folder as WSOL_WEIGHTS_DIR." in capsys.readouterr().err
