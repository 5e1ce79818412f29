"""What labels, maps and corrections tell of an image's objects, and what they leave open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from wsol_core.data.batch import Batch, CorrectedObjects
from wsol_core.methods.pseudo_objects import (
    background_patches,
    composites,
    cutouts_of,
    is_whole,
    scenes_of,
    solidity,
    training_scenes,
)
from wsol_core.records import NO_REGION, BoolMask

SIDE = 64
Box = tuple[int, int, int, int]


def a_batch(labels: list[list[float]], *squares: Box) -> Batch:
    """One image, dark with bright squares, whose edges are where maps are cut."""
    images = torch.full((1, 3, SIDE, SIDE), -1.5)
    for x0, y0, x1, y1 in squares:
        images[:, :, y0:y1, x0:x1] = 1.5
    return Batch(
        images=images,
        labels=torch.tensor(labels),
        target=torch.zeros(1, dtype=torch.long),
        region_kind=torch.full((1,), NO_REGION),
        region=torch.zeros(1, SIDE // 4, SIDE // 4),
    )


def maps_of(*squares: tuple[int, Box], classes: int = 2) -> torch.Tensor:
    maps = torch.full((1, classes, SIDE // 4, SIDE // 4), 0.01)
    for label, (x0, y0, x1, y1) in squares:
        maps[0, label, y0 // 4 : y1 // 4, x0 // 4 : x1 // 4] = 0.95
    return maps


def corrected(batch: Batch, *boxes: Box, masks: bool = False) -> Batch:
    """The batch where a person drew the boxes of class 0."""
    objects = CorrectedObjects(
        image=torch.zeros(len(boxes), dtype=torch.long),
        label=torch.zeros(len(boxes), dtype=torch.long),
        boxes=torch.tensor(boxes) / SIDE,
        masks=torch.stack([drawn(box) for box in boxes]),
        has_mask=torch.full((len(boxes),), masks),
    )
    return replace(batch, objects=objects, finished=torch.tensor([[True, False]]))


def drawn(box: Box) -> torch.Tensor:
    mask = torch.zeros(SIDE // 2, SIDE // 2)
    x0, y0, x1, y1 = (value // 2 for value in box)
    mask[y0:y1, x0:x1] = 1
    return mask


def a_mask(*boxes: Box) -> BoolMask:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


LONE: Box = (16, 16, 40, 40)


def test_a_lone_part_of_a_map_is_an_object_and_the_rest_is_known_to_be_none() -> None:
    (known,) = scenes_of(a_batch([[1, 0]], LONE), maps_of((0, LONE)))
    (found,) = known.scene.objects
    assert found.label == 0
    assert (found.mask & a_mask(LONE)).sum() > 0.9 * a_mask(LONE).sum()
    assert not known.scene.ignored[50:, 50:].any() and known.cutouts == (0,)


def test_a_ragged_part_is_no_object_and_tells_nothing() -> None:
    bars: tuple[Box, ...] = ((8, 8, 16, 56), (8, 48, 56, 56))
    (known,) = scenes_of(a_batch([[1, 0]], *bars), maps_of((0, bars[0]), (0, bars[1])))
    assert known.scene.objects == ()
    assert known.scene.ignored[a_mask(*bars)].mean() > 0.9


def test_a_speck_is_no_object_and_tells_nothing() -> None:
    speck: Box = (4, 52, 12, 60)
    batch = a_batch([[1, 0]], LONE, speck)
    batch = replace(batch, images=batch.images.expand(3, -1, -1, -1), labels=batch.labels.expand(3, -1))
    whole, both = maps_of((0, LONE)), maps_of((0, LONE), (0, speck))
    *_, known = scenes_of(batch, torch.cat([whole, whole, both]))
    (found,) = known.scene.objects
    assert found.mask[28, 28] and not found.mask[56, 8] and known.scene.ignored[56, 8]


def test_what_two_classes_claim_alike_is_neithers() -> None:
    (known,) = scenes_of(a_batch([[1, 1]], LONE), maps_of((0, LONE), (1, LONE)))
    assert known.scene.objects == () and known.scene.ignored[24, 24]


def test_corrected_neighbours_stay_two_and_finish_their_class() -> None:
    pair: tuple[Box, ...] = ((8, 16, 32, 48), (32, 16, 56, 48))
    batch = corrected(a_batch([[1, 0]], *pair), *pair, masks=True)
    (known,) = scenes_of(batch, maps_of((0, pair[0]), (0, pair[1])))
    left, right = known.scene.objects
    assert not (left.mask & right.mask).any()
    for found, box in zip((left, right), pair, strict=True):
        assert (found.mask & a_mask(box)).sum() > 0.95 * a_mask(box).sum()
    assert not known.scene.ignored.any(), "a person has finished the picture"


def test_a_corrected_box_without_a_mask_takes_the_maps_part_in_it() -> None:
    batch = corrected(a_batch([[1, 0]], LONE), (14, 14, 42, 42))
    (known,) = scenes_of(batch, maps_of((0, LONE)))
    (found,) = known.scene.objects
    assert found.mask.sum() < 28 * 28 and known.cutouts == (0,)
    nothing = corrected(a_batch([[1, 0]]), (14, 14, 42, 42))
    (known,) = scenes_of(nothing, maps_of())
    (found,) = known.scene.objects
    assert found.mask.sum() == 28 * 28 and known.cutouts == (), "its outline is not known"


def test_corrections_replace_what_maps_say_of_their_class_alone() -> None:
    other: Box = (44, 4, 60, 20)
    batch = corrected(a_batch([[1, 1]], LONE, other), LONE, masks=True)
    (known,) = scenes_of(batch, maps_of((0, (4, 44, 20, 60)), (1, other)))
    assert sorted(found.label for found in known.scene.objects) == [0, 1]
    assert known.scene.objects[0].mask[28, 28] and not known.scene.ignored[50, 10]


def test_solidity_and_wholeness() -> None:
    assert solidity(a_mask(LONE)) > 0.95 and solidity(a_mask()) == 0
    assert solidity(a_mask((8, 8, 16, 56), (8, 48, 56, 56))) < 0.65
    assert is_whole(a_mask(LONE)) and not is_whole(a_mask((0, 16, 6, 40)))


def test_patches_of_background_touch_no_object() -> None:
    known = scenes_of(a_batch([[1, 0]], LONE), maps_of((0, LONE)))
    for seed in range(10):
        for patch in background_patches(known, cutouts_of(known), np.random.default_rng(seed)):
            assert patch.label == -1 and patch.pixels[patch.mask].max() < 100


def test_scenes_follow_from_torchs_random_numbers_and_backgrounds_are_canvases() -> None:
    batch = replace(a_batch([[1, 0]], LONE), backgrounds=torch.full((2, 3, SIDE, SIDE), -1.0))
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        scenes, changed = training_scenes(batch, maps_of((0, LONE)))
        results.append([scene.pixels.tobytes() for scene in scenes])
        assert len(scenes) == 3 and {1, 2} <= set(changed)
        assert all(not scene.ignored.any() for scene in scenes[1:])
    assert results[0] == results[1]


def test_composites_side_by_side_follow_from_the_seed_and_each_from_its_place_alone() -> None:
    (known,) = scenes_of(a_batch([[1, 0]], LONE), maps_of((0, LONE)))
    scenes, cutouts = [known.scene] * 4, cutouts_of([known])

    def made(*changed: int) -> list[bytes]:
        found = composites(scenes, changed, cutouts, np.random.default_rng(0), side_by_side=True)
        return [scene.pixels.tobytes() for scene in found]

    first, second, third = made(0, 1, 3)
    assert made(0, 1, 3) == [first, second, third] and len({first, second, third}) == 3
    assert made(0, 1) == [first, second], "however many there are besides"
    assert known.scene.pixels.tobytes() not in (first, second, third), "all have an object more"
