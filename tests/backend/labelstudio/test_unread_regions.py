"""Why nothing is learned from a region that a person drew."""

from __future__ import annotations

from typing import Any

import pytest

from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.unread_regions import unread_regions

CONFIG = LabelConfig.parse("""<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="cat"/></RectangleLabels>
<PolygonLabels name="outline" toName="image"><Label value="cat"/></PolygonLabels>
<BrushLabels name="skipped" toName="image" model_skip="true"><Label value="cat"/></BrushLabels></View>""")
SIDES = {"x": 10, "y": 10, "width": 20, "height": 20}


def region(name: str, kind: str, **value: Any) -> dict[str, Any]:
    return {"id": "r", "from_name": name, "to_name": "image", "type": kind, "value": value}


@pytest.mark.parametrize(
    ("result", "reasons"),
    [
        (region("box", "rectanglelabels", **SIDES, rectanglelabels=["cat"]), []),
        (region("skipped", "brushlabels", rle=[], brushlabels=["cat"]), []),
        (region("cat", "choices", choices=["cat"]), []),
        (
            region("box", "rectanglelabels", **SIDES, rectanglelabels=["zebra"]),
            ["the labeling config has no label 'zebra'"],
        ),
        (region("box", "rectanglelabels", **SIDES), ["it has no label"]),
        (
            region("box", "rectanglelabels", **SIDES | {"width": "wide"}, rectanglelabels=["cat"]),
            ["the numbers of a rectanglelabels mean no area of the picture"],
        ),
        (
            region("outline", "polygonlabels", points=[{"x": 1, "y": 2}], polygonlabels=["cat"]),
            ["the numbers of a polygonlabels mean no area of the picture"],
        ),
        (
            region("outline", "polygonlabels", points=[[1, 1], [5, 5], [9, 9]], polygonlabels=["cat"]),
            ["the numbers of a polygonlabels mean no area of the picture"],
        ),
        (region("box", "labels", **SIDES, labels=["cat"]), ["tag 'box' takes rectanglelabels, and no labels"]),
        (region("box", "rectangle", **SIDES), ["tag 'box' takes rectanglelabels, and no rectangle"]),
        (
            region("mask", "bitmasklabels", bitmasklabels=["cat"]),
            ["the labeling config has no tag 'mask' for bitmasklabels"],
        ),
    ],
)
def test_a_region_that_teaches_nothing_has_a_reason(result: dict[str, Any], reasons: list[str]) -> None:
    task = {"id": 1, "data": {}, "annotations": [{"id": 1, "result": [result]}]}
    assert list(unread_regions(task, CONFIG)) == reasons
