"""New processes and the one that started them; that they end with it is in test_supervisor.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.backend.support.real_services import ROOT

CODE = """
import os, signal
from backend.processes.parent_death import die_with_parent
die_with_parent({parent}, signal.SIGTERM)
raise SystemExit(7)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="nothing happens elsewhere")
@pytest.mark.parametrize(("parent", "code"), [("os.getppid()", 7), ("os.getpid()", 1)])
def test_a_process_whose_parent_is_gone_already_ends_at_once(parent: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", CODE.format(parent=parent)], cwd=ROOT, check=False)
    assert done.returncode == code
