"""Parts of maps that the instance head takes for several objects are left out, where a project has many of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wsol_core.data.batch import Batch
from wsol_core.data.composites import PlacedObject
from wsol_core.methods import separation
from wsol_core.methods.melted_parts import agreements, doubted, kept, share_left_out
from wsol_core.networks.instance_head import InstanceHead
from wsol_core.records import NO_REGION

SIDE = 64


def part(x0: int, y0: int, x1: int, y1: int) -> PlacedObject:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[y0:y1, x0:x1] = True
    return PlacedObject(0, mask, int(mask.sum()))


def test_two_neighbours_agree_with_their_own_boxes_and_not_with_that_of_both() -> None:
    boxes = np.zeros((2, 4, 8, 8), np.float32)
    boxes[0, :, :, :4] = np.array([0, 0, 0.5, 1])[:, None, None]
    boxes[0, :, :, 4:] = np.array([0.5, 0, 1, 1])[:, None, None]
    boxes[1] = np.array([-0.5, 0, 1.5, 1])[:, None, None]
    found = agreements(boxes, [0, 0, 1], [part(0, 0, 32, 64), part(0, 0, 64, 64), part(0, 0, 64, 64)])
    assert found.tolist() == pytest.approx([1, 0.5, 1]), "sides beyond the image's edge are cut off"


def test_a_part_smaller_than_a_cell_has_the_places_that_it_covers_most() -> None:
    boxes = np.tile(np.array([0, 0, 2, 2], np.float32)[None, :, None, None] / SIDE, (1, 1, 8, 8))
    assert agreements(boxes, [0], [part(0, 0, 2, 2)]).tolist() == pytest.approx([1])


def test_what_agrees_from_further_away_is_not_doubted() -> None:
    near, further = np.array([0.8, 0.8, 0.8, 0.3, 0.3]), np.array([0.5, 0.5, 0.5, 0.7, 0.4])
    assert doubted(near, further) == 1
    assert doubted(near[:0], near[:0]) == 0


@pytest.mark.parametrize(("doubts", "share"), [(0, 0), (27, 0), (32, 0.4), (34, 0.56), (90, 0.6)])
def test_few_doubts_leave_nothing_out(doubts: int, share: float) -> None:
    assert share_left_out(doubts, 100) == pytest.approx(share)
    assert share_left_out(0, 0) == 0


def test_those_that_agree_least_are_left_out() -> None:
    near = np.array([0.5, 0.9, 0.2, 0.7, 0.6])
    assert kept(near, 0.4).tolist() == [False, True, False, True, True]
    assert kept(near, 0).all()
    assert kept(near[:0], 0.5).tolist() == []


class TwoEach(InstanceHead):
    """A head that has learned that the left and the right half of an image are two objects."""

    def forward(self, features: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        centres, boxes = super().forward(features)
        halves = torch.zeros_like(boxes)
        halves[..., 3, :, :], half = 1, boxes.shape[-1] // 2
        halves[:, 2, :, :half], halves[:, 0, :, half:], halves[:, 2, :, half:] = 0.5, 0.5, 1
        return centres, halves + 0 * boxes


def test_stage_separate_counts_doubts_and_then_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image shows a lone object, the other one as large as both halves, which is left out once it may be."""
    objects: list[int] = []

    def scenes(*args: object) -> object:
        found = separation_scenes(*args)  # type: ignore[arg-type]
        objects[:] = [len(scene.objects) for scene in found[0]]
        return found

    separation_scenes = separation.training_scenes
    monkeypatch.setattr(separation, "training_scenes", scenes)
    monkeypatch.setattr("wsol_core.methods.pseudo_objects.COMPOSED", 0.0)
    images, maps = torch.full((2, 3, SIDE, SIDE), -1.5), torch.full((2, 1, SIDE // 4, SIDE // 4), 0.01)
    for image, x0, x1 in ((0, 4, 32), (1, 8, 56)):
        images[image, :, 4:60, x0:x1] = 1.5
        maps[image, :, 1:15, x0 // 4 : x1 // 4] = 0.95
    batch = Batch(images, torch.ones(2, 1), torch.zeros(2).long(), torch.full((2,), NO_REGION), torch.zeros(2, 16, 16))

    def backbone(given: torch.Tensor) -> list[torch.Tensor]:
        return [torch.nn.functional.avg_pool2d(given, stride) for stride in (4, 8, 16, 16)]

    head, doubts = TwoEach((3, 3, 3, 3), 1), torch.zeros(2)

    def step(progress: float) -> list[int]:
        separation.separation_terms(batch, maps, backbone(images), backbone, head, doubts, progress)
        return objects

    assert step(0.1) == [1, 1]
    assert doubts.tolist() == [0, 0]
    assert step(0.3) == [1, 1]
    assert doubts.tolist() == [0, 0], "a head that has learned for two steps knows nothing"
    monkeypatch.setattr(separation, "LEARNED", 2)
    assert step(0.3) == [1, 1]
    assert doubts.tolist() == [1, 2], "neither look agrees with the part that is two objects"
    assert head.steps_learned == 3
    assert step(0.5) == [1, 0]
    assert doubts.tolist() == [1, 2], "they are counted early alone"
    assert head.training
    assert head.steps_learned == 4, "judging moves no statistics"
    doubts.zero_()
    assert step(0.5) == [1, 1]
