"""Further clicks and turned boxes: a click beside the object takes away what it should, one on it adds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wsol_core.localization.test_interactive import PATCH, SMALL, a_image, a_predictor, inside, iou
from wsol_core.localization.hints import Hints
from wsol_core.localization.interactive import BoxPrompt, PointPrompt, localize_prompted
from wsol_core.records import Region

SIZE_WH = (200, 120)
LEFT, RIGHT = (30, 30, 90, 80), (90, 30, 150, 80)  # two bright objects that touch


def neighbours(folder: Path) -> Path:
    """Two objects as bright, of which one is redder: a map of brightness takes them for one."""
    image = np.random.default_rng(0).integers(0, 30, (120, 200, 3), dtype=np.uint8)
    for (x0, y0, x1, y1), colour in ((LEFT, (220, 200, 60)), (RIGHT, (220, 60, 200))):
        image[y0:y1, x0:x1] = np.array(colour) + image[y0:y1, x0:x1]
    Image.fromarray(image).save(folder / "two.png")
    return folder / "two.png"


def test_a_click_beside_the_object_takes_away_its_neighbour(tmp_path: Path) -> None:
    path = neighbours(tmp_path)
    both = localize_prompted(a_predictor(), path, PointPrompt(60, 55), "light")
    assert both is not None and iou(both.mask, inside(LEFT) | inside(RIGHT)) > 0.9
    left = localize_prompted(a_predictor(), path, PointPrompt(60, 55), "light", Hints(outside=((120, 55),)))
    assert left is not None and iou(left.mask, inside(LEFT)) > 0.9
    assert left.box_xyxy[2] <= 95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_does_so_where_the_objects_are_full_of_texture_too(seed: int) -> None:
    both = inside(LEFT) | inside(RIGHT)
    blocks = np.random.default_rng(seed).integers(60, 250, (30, 50, 3), dtype=np.uint8)
    image = np.where(both[..., None], blocks.repeat(4, axis=0).repeat(4, axis=1), 10).astype(np.uint8)
    region = Region("light", (30, 30, 150, 80), 0.5, (), both)
    left = Hints(outside=((120, 55),)).applied_to(region, image)
    assert left is not None and iou(left.mask, inside(LEFT)) > 0.85


@pytest.mark.parametrize("prompt", [BoxPrompt((20, 20, 160, 90)), PointPrompt(60, 55)])
def test_clicks_on_and_beside_it_refine_a_box_and_a_click_alike(
    tmp_path: Path, prompt: BoxPrompt | PointPrompt
) -> None:
    hints = Hints(inside=((60, 55), (40, 40)), outside=((120, 55),))
    found = localize_prompted(a_predictor(), neighbours(tmp_path), prompt, "light", hints)
    assert found is not None and iou(found.mask, inside(LEFT)) > 0.85
    assert not found.mask[55, 120] and found.mask[55, 60]


def test_a_second_click_on_the_object_adds_what_the_first_missed(tmp_path: Path) -> None:
    path = a_image(tmp_path)
    found = localize_prompted(a_predictor(), path, PointPrompt(70, 50), "light", Hints(inside=((155, 90),)))
    assert found is not None
    assert iou(found.mask, inside(PATCH) | inside(SMALL)) > 0.8
    assert found.box_xyxy[0] < 50 and found.box_xyxy[2] > 160


def test_what_lies_outside_of_a_turned_box_is_not_the_object(tmp_path: Path) -> None:
    outline = ((70, 20), (110, 50), (70, 80), (30, 50))  # over the middle of the patch
    found = localize_prompted(
        a_predictor(), a_image(tmp_path), BoxPrompt((30, 20, 110, 80)), "light", Hints(outline=outline)
    )
    assert found is not None
    rows, columns = np.nonzero(found.mask)
    assert (np.abs(columns - 70) / 40 + np.abs(rows - 50) / 30).max() < 1.1
    assert found.mask[50, 70] and not found.mask[32, 42]  # a corner of the patch


def test_clicks_outside_of_the_image_say_nothing(tmp_path: Path) -> None:
    path = a_image(tmp_path)
    plain = localize_prompted(a_predictor(), path, PointPrompt(70, 50), "light")
    hinted = localize_prompted(
        a_predictor(), path, PointPrompt(70, 50), "light", Hints(inside=((-5, 3),), outside=((900, 3),))
    )
    assert plain is not None and hinted is not None and np.array_equal(plain.mask, hinted.mask)


def test_nothing_is_left_where_everything_was_excluded(tmp_path: Path) -> None:
    mask = np.zeros((120, 200), np.bool_)
    mask[50, 60] = True
    region = Region("light", (60, 50, 61, 51), 0.5, (), mask)
    assert Hints(outside=((60, 50),)).applied_to(region, np.zeros((120, 200, 3), np.uint8)) is None
