"""Masks become polygons that are nearly the same masks again, and plain ones where the mask is noise."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from tests.wsol_core.exports.exported import DISC, RING, SIZE_WH
from wsol_core.exports.outlines import LEAST_IOU, filled, outline, outlines
from wsol_core.ops.masks import bounds, mask_iou
from wsol_core.records import BoolMask

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools decodes


def test_the_outline_of_a_pixel_runs_along_its_edges() -> None:
    mask = np.zeros((3, 4), np.bool_)
    mask[1, 2] = True
    [ring] = outlines(mask)
    assert {tuple(point) for point in ring.tolist()} == {(2, 1), (3, 1), (3, 2), (2, 2)}


@pytest.mark.parametrize("mask", [DISC, RING], ids=["a disc", "with a hole and an island"])
def test_filled_outlines_are_the_mask_again(mask: BoolMask) -> None:
    assert mask_iou(filled(outlines(mask), SIZE_WH), mask) >= LEAST_IOU
    whole = outline(mask)
    assert whole is not None and mask_iou(filled([whole], SIZE_WH), mask) >= LEAST_IOU


@pytest.mark.parametrize("mask", [DISC, RING], ids=["a disc", "with a hole and an island"])
def test_coco_reads_the_same_masks_from_the_outlines(mask: BoolMask) -> None:
    width, height = SIZE_WH
    for rings in (outlines(mask), [outline(mask)]):
        codes = coco.frPyObjects([ring.ravel().tolist() for ring in rings if ring is not None], height, width)
        assert mask_iou(coco.decode(coco.merge(codes)).astype(np.bool_), mask) >= 0.97


def test_outlines_reach_as_far_as_their_masks() -> None:
    for mask in (DISC, RING):
        points = np.concatenate(outlines(mask))
        assert [*points.min(axis=0), *points.max(axis=0)] == pytest.approx(bounds(mask), abs=0.3)


def test_an_outline_has_far_fewer_points_than_the_mask_has_pixels_at_its_edge() -> None:
    [ring] = outlines(DISC)
    assert len(ring) < 30


def test_an_empty_mask_has_no_outline() -> None:
    assert outlines(np.zeros((5, 5), np.bool_)) == [] and outline(np.zeros((5, 5), np.bool_)) is None


def test_a_mask_of_noise_gets_a_plain_outline() -> None:
    noise = np.random.default_rng(0).random((300, 400)) > 0.5
    ring = outline(noise)
    assert ring is not None and len(ring) < 3000
