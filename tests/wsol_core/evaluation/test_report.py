"""The HTML report of an evaluation."""

from __future__ import annotations

import re
from pathlib import Path

import cv2

from tests.wsol_core.evaluation.bright_objects import NAMES, predictor, white_square
from wsol_core.evaluation.evaluate import evaluate
from wsol_core.evaluation.report import WORST, shown, write_report


def test_the_page_shows_the_images_and_escapes_names(tmp_path: Path) -> None:
    samples = [white_square(tmp_path, "a", NAMES[0])]
    history = [{"stage": "classify", "epoch": 1, "step": step, "losses": {"<b>": 1 / step}} for step in (1, 2, 3)]
    page = write_report(evaluate(predictor(), samples), predictor(), samples, tmp_path / "report", history).read_text()
    assert "<i>crab</i>" not in page
    assert "&lt;i&gt;crab&lt;/i&gt;" in page
    assert "&lt;b&gt;" in page
    assert page.count("<figure") == 1
    assert cv2.imread(str(tmp_path / "report" / "pictures" / "000-overlay.jpg")) is not None


def test_every_image_that_the_page_names_is_there(tmp_path: Path) -> None:
    samples = [white_square(tmp_path, name, NAMES[0]) for name in "ab"]
    page = write_report(evaluate(predictor(), samples), predictor(), samples, tmp_path / "report").read_text()
    named = re.findall(r'src="([^"]*)"', page)
    assert len(named) == 4
    assert [name for name in named if not (tmp_path / "report" / name).is_file()] == []


def test_long_lists_show_the_worst_and_a_few_of_the_best(tmp_path: Path) -> None:
    results = list(range(200))
    chosen = shown(results)  # type: ignore[arg-type]
    assert chosen[:WORST] == results[:WORST]
    assert chosen[-1] == results[-1]
    assert len(chosen) == 60
