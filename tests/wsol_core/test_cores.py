"""The number of cores, also where the system does not tell which ones are allowed."""

from __future__ import annotations

import os

import pytest

from wsol_core.cores import usable_cores


def test_the_allowed_cores_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert usable_cores() == 3


@pytest.mark.parametrize(("counted", "expected"), [(4, 4), (None, 1)])
def test_all_cores_count_where_the_allowed_ones_are_unknown(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert usable_cores() == expected
