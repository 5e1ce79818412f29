"""How checks are run: each for itself, for a limited time, with secrets struck out."""

from __future__ import annotations

import threading
import time

from backend.doctor.checks import CheckList, Finding, ok
from tests.backend.doctor.expectations import says


def test_a_check_that_hangs_is_left_behind_and_one_that_breaks_hides_no_other() -> None:
    checks, never = CheckList(), threading.Event()

    def hangs() -> Finding:
        never.wait(30)
        return ok("")

    def breaks() -> Finding:
        raise KeyError("tasks")

    start = time.monotonic()
    says(checks.check("slow", hangs, limit_s=0.05), "failed", "no answer within 0.05 s", "overloaded")
    says(checks.check("broken", breaks), "failed", "KeyError: 'tasks'", "fault of the program")
    says(checks.check("fine", lambda: ok("fine")), "ok", "fine")
    assert time.monotonic() - start < 5 and [row.name for row in checks.rows] == ["slow", "broken", "fine"]
    never.set()


def test_secrets_are_struck_out_of_whatever_is_found() -> None:
    checks = CheckList(["s3cret"])
    assert checks.check("token", lambda: ok("it is s3cret")).found == "it is ***"
