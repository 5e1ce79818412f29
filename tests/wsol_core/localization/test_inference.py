"""What is picked of a network's maps, and that a batch's cuts fit those of its images one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.wsol_core.red_square import blurred_and_shifted, red_square_on_noise
from wsol_core.data.images import resize_to_square
from wsol_core.localization.inference import BatchOutput, DecodedImage
from wsol_core.localization.refinement import CUT_SIDE_PX, SIDE_PX, final_maps
from wsol_core.records import Sample, Unreadable

ASKED = ((0, 1), (1,))


def a_batch() -> BatchOutput:
    """Two images of a red square, one mirrored, and one that cannot be read; class 0 has upside-down maps."""
    image, inside = red_square_on_noise()
    pixels = [np.ascontiguousarray(each) for each in (image, image[:, ::-1])]
    maps = [blurred_and_shifted(np.ascontiguousarray(each)) for each in (inside, inside[:, ::-1])]
    both = torch.from_numpy(np.stack([[each[::-1], each] for each in maps]))
    large = [resize_to_square(each, SIDE_PX) for each in pixels]
    decoded = [DecodedImage(Sample("", Path(), ()), (64, 64), (each,), each) for each in large]
    return BatchOutput([decoded[0], Unreadable("broken.jpg", "cut off"), decoded[1]], torch.zeros(2, 2), both)


def final(batch: BatchOutput) -> list[NDArray[np.float32]]:
    images = [image.pixels for image in batch.decoded if isinstance(image, DecodedImage)]
    raw, cuts = batch.raw_maps(ASKED), batch.edge_cuts(ASKED)
    return [np.stack(final_maps(*each)) for each in zip(raw, images, cuts, strict=True)]


def test_a_gpus_cuts_are_those_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = a_batch()
    expected = final(batch)
    assert batch.edge_cuts(ASKED) == [None, None]
    monkeypatch.setattr(BatchOutput, "on_gpu", True)
    assert [cuts.shape for cuts in batch.edge_cuts(ASKED) if cuts is not None] == [
        (2, CUT_SIDE_PX, CUT_SIDE_PX),
        (1, CUT_SIDE_PX, CUT_SIDE_PX),
    ]
    for ours, theirs in zip(final(batch), expected, strict=True):
        assert (np.abs(ours - theirs) > 0.25).mean() < 0.03, "maps differ by a half where their cuts do"


def test_an_image_of_which_nothing_is_asked_has_no_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchOutput, "on_gpu", True)
    batch = a_batch()
    first, second = batch.edge_cuts(((), (0,)))
    assert first is not None and second is not None
    assert (len(first), len(second)) == (0, 1)
    assert batch.edge_cuts(((), ())) == [None, None]
