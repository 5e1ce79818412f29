"""Words that the tests of the doctor share."""

from __future__ import annotations

from backend.doctor.checks import Finding

LEGACY = "0123456789abcdef0123456789abcdef01234567"
NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens


def says(finding: Finding, state: str, found: str, advice: str = "") -> None:
    assert finding.state == state, finding
    assert found in finding.found
    assert advice in finding.advice
