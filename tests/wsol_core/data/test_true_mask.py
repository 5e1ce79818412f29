"""The union of true masks, with and without regard to the regions' boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol_core.data.true_mask import true_mask
from wsol_core.errors import DataError
from wsol_core.records import CorrectedRegion

LEFT, RIGHT = (0, 0, 4, 6), (4, 0, 8, 6)


def saved_mask(folder: Path, *spots: tuple[int, int], size_wh: tuple[int, int] = (8, 6)) -> Path:
    mask = np.zeros(size_wh[::-1], np.uint8)
    for x, y in spots:
        mask[y, x] = 255
    path = folder / f"mask{len(list(folder.iterdir()))}.png"
    Image.fromarray(mask).save(path)
    return path


def test_each_region_owns_the_part_of_a_shared_mask_inside_its_box(tmp_path: Path) -> None:
    path = saved_mask(tmp_path, (1, 1), (6, 2))
    region = CorrectedRegion("crab", LEFT, path)
    owned, whole = (true_mask([region], (8, 6), within_boxes=within) for within in (True, False))
    assert owned is not None and whole is not None
    assert (np.argwhere(owned).tolist(), np.argwhere(whole).tolist()) == ([[1, 1]], [[1, 1], [2, 6]])


@pytest.mark.parametrize("within", [True, False])
def test_no_regions_have_an_empty_mask(within: bool) -> None:
    mask = true_mask((), (8, 6), within_boxes=within)
    assert mask is not None and mask.shape == (6, 8) and not mask.any()


def test_the_masks_of_all_regions_are_joined(tmp_path: Path) -> None:
    regions = [
        CorrectedRegion("crab", box, saved_mask(tmp_path, spot)) for box, spot in ((LEFT, (1, 1)), (RIGHT, (6, 2)))
    ]
    for within in (True, False):
        joined = true_mask(regions, (8, 6), within_boxes=within)
        assert joined is not None and np.argwhere(joined).tolist() == [[1, 1], [2, 6]]


@pytest.mark.parametrize("within_boxes", [True, False])
def test_one_region_without_a_mask_leaves_nothing_known(tmp_path: Path, within_boxes: bool) -> None:
    regions = [CorrectedRegion("crab", LEFT, saved_mask(tmp_path, (1, 1))), CorrectedRegion("crab", RIGHT)]
    assert true_mask(regions, (8, 6), within_boxes=within_boxes) is None


def test_a_mask_that_is_empty_in_its_box_says_nothing_as_in_training(tmp_path: Path) -> None:
    assert true_mask([CorrectedRegion("crab", LEFT, saved_mask(tmp_path, (6, 2)))], (8, 6), within_boxes=True) is None


def test_a_mask_of_another_size_is_scaled(tmp_path: Path) -> None:
    region = CorrectedRegion("crab", (0, 0, 16, 12), saved_mask(tmp_path, (1, 1)))
    scaled = true_mask([region], (16, 12), within_boxes=False)
    assert scaled is not None and np.argwhere(scaled).tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_a_torn_mask_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"torn\.png"):
        true_mask([CorrectedRegion("crab", LEFT, tmp_path / "torn.png")], (8, 6), within_boxes=False)
