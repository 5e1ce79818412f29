"""The script for GPUs runs on a CPU, with its smallest sizes, and prints each of its tables."""

from __future__ import annotations

import sys

import pytest

from benchmarks import gpu


@pytest.mark.slow
def test_every_table_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--backbone", "mobilenet_v2", "--batch", "2", "--sides", "64", "--repeats", "1", "--pictures", "10"]
    asked += ["--steps", "0", "--learned", "1"]
    monkeypatch.setattr(sys, "argv", ["gpu", *asked])
    gpu.main()
    printed = capsys.readouterr().out
    rows = (
        "bfloat16, channels_last",
        "of 2 images",
        "classify",
        "localize",
        "separate",
        "files to regions",
        "is cancelled after two steps ends",
    )
    for row in rows:
        assert row in printed, printed
