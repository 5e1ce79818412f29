"""The instance head: shapes, boxes around each place, and centres that begin rare."""

from __future__ import annotations

import torch

from wsol_core.networks.instance_head import InstanceHead, boxes_at

CHANNELS = (24, 48, 96, 128)


def features(side: int = 64) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, c, side // s, side // s) for c, s in zip(CHANNELS, (4, 8, 16, 16), strict=True)]


def test_centres_and_boxes_lie_at_stride_8() -> None:
    head = InstanceHead(CHANNELS, 3).eval()
    centres, boxes = head(features())
    assert (centres.shape, boxes.shape) == ((2, 3, 8, 8), (2, 4, 8, 8))
    assert centres.sigmoid().max() < 0.05, "nearly all places have no centre"
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_a_box_is_laid_around_the_middle_of_its_place() -> None:
    boxes = boxes_at(torch.full((1, 4, 2, 4), 0.25))
    assert boxes[0, :, 0, 0].tolist() == [0.125 - 0.25, 0.25 - 0.25, 0.125 + 0.25, 0.25 + 0.25]
    assert boxes[0, :, 1, 3].tolist() == [0.875 - 0.25, 0.75 - 0.25, 0.875 + 0.25, 0.75 + 0.25]


def test_boxes_of_smaller_images_are_as_large_as_those_of_the_images() -> None:
    head = InstanceHead(CHANNELS, 3).eval()
    boxes = head.judged_boxes(features())
    scaled = head.judged_boxes(features(), 0.5)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert torch.allclose(scaled[:, 2:] - scaled[:, :2], 2 * (boxes[:, 2:] - boxes[:, :2]), atol=1e-6)
    assert torch.allclose((scaled[:, 2:] + scaled[:, :2]) / 2, 2 * middles - boxes_at(torch.zeros(1, 4, 8, 8))[:, :2])


def test_a_head_of_before_there_was_a_dilation_predicts_as_it_did() -> None:
    older, newer = InstanceHead(CHANNELS, 3).eval(), InstanceHead(CHANNELS, 3).eval()
    older.tower[2][0].dilation = older.tower[2][0].padding = (1, 1)  # type: ignore[index, union-attr]
    state = {name: value for name, value in older.state_dict().items() if name != "dilation"}
    assert not torch.equal(newer(features())[0], older(features())[0])
    newer.load_state_dict(dict(state))
    assert torch.equal(newer(features())[0], older(features())[0])
    assert newer.dilation == 1
    again = InstanceHead(CHANNELS, 3).eval()
    again.load_state_dict(newer.state_dict())
    assert torch.equal(again(features())[0], older(features())[0])
