"""The HTML report of an evaluation."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2

from tests.wsol_core.evaluation.bright_objects import BOX, NAMES, predictor, white_square
from wsol_core.evaluation.evaluate import evaluate
from wsol_core.evaluation.report import WORST, shown, write_report
from wsol_core.records import CorrectedRegion


def test_the_page_shows_the_images_and_escapes_names(tmp_path: Path) -> None:
    samples = [white_square(tmp_path, "a", NAMES[0])]
    history = [{"stage": "classify", "epoch": 1, "step": step, "losses": {"<b>": 1 / step}} for step in (1, 2, 3)]
    page = write_report(evaluate(predictor(), samples), predictor(), samples, tmp_path / "report", history).read_text()
    assert "<i>crab</i>" not in page
    assert "&lt;i&gt;crab&lt;/i&gt;" in page
    assert "&lt;b&gt;" in page
    assert page.count("<figure") == 1
    assert "CorLoc" in page and "edits saved" in page and "<p>None.</p>" in page
    assert cv2.imread(str(tmp_path / "report" / "pictures" / "000-overlay.jpg")) is not None


def test_every_image_that_the_page_names_is_there(tmp_path: Path) -> None:
    samples = [white_square(tmp_path, name, NAMES[0]) for name in "ab"]
    page = write_report(evaluate(predictor(), samples), predictor(), samples, tmp_path / "report").read_text()
    named = re.findall(r'src="([^"]*)"', page)
    assert len(named) == 4
    assert [name for name in named if not (tmp_path / "report" / name).is_file()] == []


def test_each_kind_of_mistake_that_occurs_has_its_worst_images(tmp_path: Path) -> None:
    missed = white_square(tmp_path, "missed", NAMES[0], truth_box=(0, 0, 10, 10))
    loose = white_square(tmp_path, "loose", NAMES[0], truth_box=(16, 24, 48, 44))
    samples = [white_square(tmp_path, "right", NAMES[0]), missed, loose]
    page = write_report(evaluate(predictor(), samples), predictor(), samples, tmp_path / "report").read_text()
    heads = re.findall(r"<h3>(.*?) <span>(.*?)</span></h3>", page)
    assert heads == [("Missed", "1 in 1 image"), ("Loose", "1 in 1 image"), ("Nothing there", "1 in 1 image")]
    assert "&lt;i&gt;crab&lt;/i&gt;: not found" in page and "&lt;i&gt;crab&lt;/i&gt;: IoU 0.62" in page
    named = re.findall(r'src="(pictures/(?:missed|loose|nothing-there)-[^"]*)"', page)
    assert len(named) == 3 and all((tmp_path / "report" / name).is_file() for name in named)


def test_the_boxes_of_a_mistake_are_drawn_thick_in_the_colours_of_the_legend(tmp_path: Path) -> None:
    truth = (CorrectedRegion(NAMES[0], (0, 0, 10, 10)), CorrectedRegion(NAMES[0], BOX))
    sample = replace(white_square(tmp_path, "a", NAMES[0]), truth=truth)
    page = write_report(evaluate(predictor(), [sample]), predictor(), [sample], tmp_path / "report").read_text()
    picture = cv2.imread(str(tmp_path / "report" / "pictures" / "missed-0.jpg"))[..., ::-1]
    assert picture.shape == (480, 480, 3)
    scale = 480 / 64
    missed_edge, found_edge = picture[5 * 7, int(10 * scale) - 1], picture[int(40 * scale), int(48 * scale) - 1]
    assert missed_edge.min() > 200  # white
    assert found_edge[0] > 180 and found_edge[2] < 130  # yellow
    assert "#ffd60a" in page and "thick lines: the mistake" in page


def test_long_lists_show_the_worst_and_a_few_of_the_best(tmp_path: Path) -> None:
    results = list(range(200))
    chosen = shown(results)  # type: ignore[arg-type]
    assert chosen[:WORST] == results[:WORST]
    assert chosen[-1] == results[-1]
    assert len(chosen) == 60
