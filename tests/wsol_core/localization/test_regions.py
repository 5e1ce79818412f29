"""Maps become boxes, masks, polygons and scores in pixels of the full image."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from wsol_core.localization.regions import enlarged, extract_regions, findable_size, with_margin
from wsol_core.records import FloatMap, Region


def map_of(*boxes: tuple[int, int, int, int], value: float = 1.0, side: int = 20) -> FloatMap:
    score_map = np.zeros((side, side), np.float32)
    for x0, y0, x1, y1 in boxes:
        score_map[y0:y1, x0:x1] = value
    return score_map


def cut(score_map: FloatMap, size_wh: tuple[int, int] = (20, 20), presence: float = 1.0, **how: float) -> list[Region]:
    return extract_regions(score_map, size_wh, "cat", 0.5, presence, **how)  # type: ignore[arg-type]


def the_only(regions: list[Region]) -> Region:
    assert len(regions) == 1
    return regions[0]


def test_a_square_on_the_map_is_a_box_with_exclusive_corners_and_its_mask() -> None:
    region = the_only(cut(map_of((4, 6, 12, 16))))
    assert (region.label, region.box_xyxy) == ("cat", (4, 6, 12, 16))
    assert list(region.mask.shape) == [20, 20]
    assert str(region.mask.dtype) == "bool"
    assert region.mask[6:16, 4:12].all()
    assert region.mask.sum() == 80
    assert set(region.polygon) == {(4.5, 6.5), (11.5, 6.5), (11.5, 15.5), (4.5, 15.5)}


def test_maps_are_enlarged_to_the_image_whatever_its_shape() -> None:
    region = the_only(cut(map_of((5, 5, 15, 15)), size_wh=(200, 40)))
    assert list(region.box_xyxy) == [50, 10, 150, 30]
    assert list(region.mask.shape) == [40, 200]


def test_only_what_is_above_the_threshold_counts() -> None:
    assert cut(map_of((4, 4, 12, 12), value=0.5)) == []
    assert len(cut(map_of((4, 4, 12, 12), value=0.51))) == 1


def test_an_empty_map_has_no_region() -> None:
    assert cut(map_of()) == []


def test_a_full_map_is_the_whole_image() -> None:
    region = the_only(cut(map_of((0, 0, 20, 20))))
    assert list(region.box_xyxy) == [0, 0, 20, 20]
    assert region.mask.all()


def test_separate_parts_are_separate_regions_the_surest_first() -> None:
    score_map = map_of((0, 0, 8, 8), value=0.6) + map_of((10, 10, 18, 18))
    regions = cut(score_map)
    assert [region.box_xyxy for region in regions] == [(10, 10, 18, 18), (0, 0, 8, 8)]
    assert not (regions[0].mask & regions[1].mask).any()


def test_small_parts_are_dropped_but_never_the_largest() -> None:
    speck = (18, 18, 19, 19)  # 1 of 400 pixels
    assert [r.box_xyxy for r in cut(map_of((0, 0, 4, 4), speck))] == [(0, 0, 4, 4)]
    assert [r.box_xyxy for r in cut(map_of((0, 0, 4, 4), speck), min_area=0.0)] == [(0, 0, 4, 4), speck]
    assert [r.box_xyxy for r in cut(map_of((0, 0, 10, 4), speck), min_area=0.0)] == [(0, 0, 10, 4)]  # below 5 % of 40
    assert [r.box_xyxy for r in cut(map_of(speck))] == [speck]


def test_no_more_than_asked_for_and_those_the_largest() -> None:
    score_map = map_of((0, 0, 4, 4), (6, 0, 12, 6), (0, 8, 10, 18))
    assert {r.box_xyxy for r in cut(score_map, max_regions=2)} == {(6, 0, 12, 6), (0, 8, 10, 18)}


def test_a_hole_is_no_part_of_the_mask_and_an_island_in_it_is() -> None:
    score_map = map_of((2, 2, 18, 18)) - map_of((5, 5, 15, 15)) + map_of((9, 9, 11, 11))
    region = the_only(cut(score_map))
    assert region.mask.sum() == 256 - 100 + 4
    assert not region.mask[6, 6]
    assert len(region.polygon) == 4


@pytest.mark.parametrize("line", [(3, 5, 17, 6), (5, 3, 6, 17), (5, 5, 6, 6)])
def test_a_part_without_area_gets_its_box_as_polygon(line: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = line
    region = the_only(cut(map_of(line)))
    assert region.polygon == ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def test_polygons_are_simplified_and_stay_on_the_outline() -> None:
    rows, columns = np.mgrid[:224, :224]
    disc = (np.hypot(rows - 112, columns - 112) < 80).astype(np.float32)
    region = the_only(cut(disc, size_wh=(224, 224)))
    assert 8 <= len(region.polygon) <= 40
    distances = [math.hypot(x - 112.5, y - 112.5) for x, y in region.polygon]
    assert all(77 <= distance <= 82 for distance in distances)


def test_the_score_is_contrast_times_presence() -> None:
    score_map = map_of((5, 5, 15, 15), value=0.7) + 0.1
    region = the_only(cut(score_map, presence=0.5))
    assert region.score == pytest.approx(0.7 * 0.5, abs=1e-5)


def test_the_score_of_one_region_is_not_held_against_another() -> None:
    score_map = map_of((0, 0, 8, 8)) + map_of((10, 10, 18, 18), value=0.6)
    assert [region.score for region in cut(score_map)] == pytest.approx([0.999, 0.6], abs=1e-5)


def test_regions_of_a_huge_image_are_found_in_a_part_of_its_size() -> None:
    assert findable_size((4000, 4000)) == (4000, 4000)
    assert findable_size((9900, 9900)) == (3300, 3300)
    assert findable_size((1, 100_000_000)) == (1, 100_000_000)
    score_map = np.zeros((56, 56), np.float32)
    score_map[10:30, 5:50] = 1
    score_map[40:50, 5:15] = 0.9
    whole = extract_regions(score_map, (600, 400), "cat", 0.5, 1.0)
    larger = [enlarged(region, (600, 400)) for region in extract_regions(score_map, (200, 133), "cat", 0.5, 1.0)]
    for one, other in zip(whole, larger, strict=True):
        assert other.mask.shape == (400, 600)
        assert (one.mask & other.mask).sum() / (one.mask | other.mask).sum() > 0.95
        assert np.allclose(one.box_xyxy, other.box_xyxy, atol=4)
        assert other.score == pytest.approx(one.score, abs=0.02)
        assert np.asarray(other.polygon).max(axis=0) == pytest.approx(np.asarray(one.polygon).max(axis=0), abs=6)


HUGE = """
from pathlib import Path
import numpy as np
from wsol_core.localization.regions import MOST_PIXELS, enlarged, extract_regions, findable_size

def highest_kib():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

size_wh = (9900, 9900)
spots = np.zeros((224, 224), np.float32)
spots[10:200:20, 10:200:20] = 1
before_kib = highest_kib()
small_wh = findable_size(size_wh)
found = extract_regions(spots, small_wh, "cat", 0.5, 1.0, min_area=0)
regions = [enlarged(region, size_wh) for region in found]
assert len(regions) == 20 and small_wh[0] * small_wh[1] <= MOST_PIXELS
print(highest_kib() - before_kib)
"""


def test_the_masks_of_a_huge_image_take_the_memory_of_their_objects_alone() -> None:
    # In a process of its own: threads that other tests have left may take memory meanwhile.
    ran = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, timeout=60, check=True)
    assert int(ran.stdout) < 300 * 1024


def test_a_margin_grows_a_box_as_far_as_the_image_goes_and_leaves_its_mask() -> None:
    tight = the_only(cut(map_of((4, 1, 14, 11))))
    loose = with_margin(tight, 0.2)
    assert loose.box_xyxy == (2, 0, 16, 13)
    assert loose.mask is tight.mask
    assert with_margin(tight, -0.1).box_xyxy == (5, 2, 13, 10)
    assert with_margin(tight, 0.0) is tight
