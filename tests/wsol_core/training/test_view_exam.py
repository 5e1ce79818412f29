"""How objects are made, with a fake method whose maps are known to be off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.wsol_core.fake_method import FakeMethod
from wsol_core.config import TrainConfig
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.methods.base import ObjectMaps, Prediction
from wsol_core.records import Sample
from wsol_core.training.view_exam import FEWEST_OBJECTS, PLAIN, steadiest_way

SIDE, CELLS = 64, 8


class FakeFinder(FakeMethod):
    """Sees one bright square, as a map and a box that lie `off` pixels further right."""

    finds_objects = True

    def __init__(self, off: int) -> None:
        super().__init__(1, multi_label=False)
        self.off = off

    def forward(self, images: Tensor) -> Prediction:
        bright = (images.mean(1, keepdim=True) > 0).float()
        maps = 0.7 * torch.roll(bright, self.off, 3) + 0.01
        centres, boxes = torch.zeros(len(images), 1, CELLS, CELLS), torch.zeros(len(images), 4, CELLS, CELLS)
        for row, seen in enumerate(bright[:, 0]):
            ys, xs = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
            box = torch.stack([xs[0] + self.off, ys[0], xs[-1] + 1 + self.off, ys[-1] + 1]) / SIDE
            boxes[row] = box[:, None, None]
            column, line = ((box[:2] + box[2:]) / 2 * CELLS).long().tolist()
            centres[row, 0, line, column] = 0.9
        return Prediction(torch.zeros(len(images), 1), maps, ObjectMaps(centres, boxes))


def samples(folder: Path, count: int) -> list[Sample]:
    found = []
    for index in range(count):
        pixels = np.full((SIDE, SIDE, 3), 30, np.uint8)
        x, y = 12 + index % 5, 12 + index % 3
        pixels[y : y + 28, x : x + 28] = 240
        path = folder / f"{index}.png"
        Image.fromarray(pixels).save(path)
        found.append(Sample(path.name, path, ("square",)))
    return found


@pytest.mark.parametrize(("off", "cut"), [(0, False), (3, True)])
def test_objects_are_cut_where_maps_are_off(tmp_path: Path, off: int, cut: bool) -> None:
    card = ModelCard(TrainConfig(side_px=SIDE), ("square",), False, 0.5, "fixed", refine_edges=False)
    predictor = Predictor(FakeFinder(off), card, "cpu", "float32")
    way = steadiest_way(predictor, samples(tmp_path, FEWEST_OBJECTS))
    assert way.cut_objects is cut
    assert way.of(card).cut_objects is cut and way.of(card).whole_parts is way.whole_parts
    assert steadiest_way(predictor, samples(tmp_path, FEWEST_OBJECTS - 1)) == PLAIN, "too few to tell"
