"""Lines of predictions, as they were written and as nobody of good will writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wsol_core.errors import DataError
from wsol_core.exports.from_predictions import PredictionsSource

REGION = {"label": "crab", "score": 0.5, "box_xyxy": [1, 2, 30, 40], "mask": None}
LINE = {"file": "a.png", "width": 60, "height": 50, "scores": {"crab": 0.5}, "regions": [REGION]}


def source_of(folder: Path, *lines: object) -> PredictionsSource:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "predictions.jsonl").write_text(text)
    return PredictionsSource.open(folder)


def test_lines_are_read_and_errors_are_skipped(tmp_path: Path) -> None:
    source = source_of(tmp_path, LINE, {"file": "b.png", "error": "b.png is torn."})
    [image] = source.exported()
    assert (source.classes, source.skipped, image.labels) == (("crab",), ("b.png is torn.",), ("crab",))
    assert image.objects[0].box_xyxy == (1, 2, 30, 40)


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "torn",
        {**LINE, "file": 5},
        {**LINE, "regions": None},
        {**LINE, "regions": ["crab"]},
        {**LINE, "scores": 1},
        *(
            {**LINE, "regions": [{**REGION, **wrong}]}
            for wrong in (
                {"label": None},
                {"score": "high"},
                {"score": float("nan")},
                {"box_xyxy": [1, 2, 3]},
                {"box_xyxy": [1, 2, 3, 10**400]},
                {"mask": "../../secret.png"},
                {"mask": "/secret.png"},
                {"mask": 7},
            )
        ),
    ],
    ids=lambda line: str(line)[-60:],
)
def test_a_line_without_meaning_is_named(tmp_path: Path, line: Any) -> None:
    with pytest.raises(DataError, match="line 2 is no prediction; localize the pictures again"):
        source_of(tmp_path, LINE, line)
