"""Pictures of several animals: how many, how many touch, how much of each is seen, and whose pixels are whose."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest

from wsol_core.ops.masks import bounds
from wsol_core.records import BoolMask
from wsol_core.synthetic.arrangement import APART_PX, MOST_OVERLAP, TOUCHING_PX, Placed, arrange, plan_groups
from wsol_core.synthetic.bodies import CLASS_NAMES
from wsol_core.synthetic.compositing import Difficulty
from wsol_core.synthetic.groups import DrawnGroup, draw_group

pytestmark = pytest.mark.slow
SIDES = (128, 160)
PICTURES = 60


@pytest.fixture(scope="module")
def drawn() -> list[DrawnGroup]:
    return [draw_group(0, index, 4, SIDES) for index in range(PICTURES)]


@pytest.fixture(scope="module")
def arranged() -> list[list[Placed]]:
    return [
        arrange(np.random.default_rng(seed), (150 + seed, 140), seed % 4, 4, Difficulty()) for seed in range(PICTURES)
    ]


def gap_px(first: BoolMask, second: BoolMask) -> float:
    """The distance of the nearest pixels of two masks; 1 for neighbours, 0 where they overlap."""
    away = cv2.distanceTransform((~first).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(away[second].min())


def with_touching_mate(placed: list[Placed]) -> list[bool]:
    """For each animal, whether one of its own class is near enough to touch."""
    return [
        any(
            gap_px(each.full, other.full) <= TOUCHING_PX
            for other in placed
            if other is not each and other.class_index == each.class_index
        )
        for each in placed
    ]


def test_there_are_two_to_six_animals_and_often_several_classes(drawn: list[DrawnGroup]) -> None:
    counts = [len(picture.objects) for picture in drawn]
    assert set(counts) == {2, 3, 4, 5, 6}
    assert 0.35 < np.mean([len(picture.labels) > 1 for picture in drawn]) < 0.75
    assert max(len(picture.labels) for picture in drawn) == 3


def test_labels_are_the_classes_of_the_animals_with_the_listed_one_first(drawn: list[DrawnGroup]) -> None:
    for index, picture in enumerate(drawn):
        assert picture.labels[0] == CLASS_NAMES[index % 4]
        assert picture.labels == tuple(dict.fromkeys(each.label for each in picture.objects))


def test_half_of_the_animals_touch_one_of_their_own_class(arranged: list[list[Placed]]) -> None:
    share = np.mean([touches for placed in arranged for touches in with_touching_mate(placed)])
    assert 0.4 < share < 0.6


def test_planned_groups_hold_half_of_the_animals_on_average() -> None:
    rng = np.random.default_rng(0)
    plans = [plan_groups(rng, lead=1, classes=4) for _ in range(2000)]
    animals = sum(group.size for plan in plans for group in plan)
    grouped = sum(group.size for plan in plans for group in plan if group.size > 1)
    assert grouped / animals == pytest.approx(0.5, abs=0.02)
    assert {group.size for plan in plans for group in plan} == {1, 2, 3}
    assert {sum(group.size for group in plan) for plan in plans} == {2, 3, 4, 5, 6}
    assert all(plan[0].class_index == 1 for plan in plans)


def test_animals_of_a_class_touch_or_are_clearly_apart(arranged: list[list[Placed]]) -> None:
    gaps = [
        gap_px(one.full, other.full)
        for placed in arranged
        for one, other in combinations(placed, 2)
        if one.class_index == other.class_index and one.group != other.group
    ]
    assert min(gaps) > APART_PX - 1


def test_some_animals_touch_one_of_another_class(arranged: list[list[Placed]]) -> None:
    touching = [
        gap_px(one.full, other.full) <= TOUCHING_PX
        for placed in arranged
        for one, other in combinations(placed, 2)
        if one.class_index != other.class_index
    ]
    assert 0.05 < np.mean(touching) < 0.5


def test_neighbours_overlap_by_a_fifth_at_most_and_some_leave_a_gap(arranged: list[list[Placed]]) -> None:
    shares, gaps = [], 0
    for placed in arranged:
        for one, other in combinations(placed, 2):
            common = np.count_nonzero(one.full & other.full)
            shares.append(common / min(np.count_nonzero(one.full), np.count_nonzero(other.full)))
            gaps += 0 < gap_px(one.full, other.full) <= TOUCHING_PX
    assert 0.1 < max(shares) <= MOST_OVERLAP + 1e-9
    assert gaps > 5


def test_animals_take_3_to_25_percent_of_the_picture(arranged: list[list[Placed]]) -> None:
    for placed in arranged:
        for each in placed:
            x0, y0, x1, y1 = bounds(each.full)
            assert (x1 - x0) * (y1 - y0) <= 0.25 * each.full.size
            assert np.count_nonzero(each.full) >= 0.03 * each.full.size


@pytest.mark.parametrize("twigs", [0.0, 1.0])
def test_at_least_half_of_every_animal_is_visible(twigs: float) -> None:
    """`arrange` is asked for the same animals as `draw_group` by the same random numbers, with nothing painted."""
    hard = Difficulty(twigs=twigs)
    for index in range(20):
        picture, whole = draw_group(5, index, 4, SIDES, hard), whole_animals(5, index, hard)
        for each, full in zip(picture.objects, whole, strict=True):
            assert not (each.mask & ~full).any()
            assert np.count_nonzero(each.mask) >= 0.5 * np.count_nonzero(full)


def whole_animals(seed: int, index: int, hard: Difficulty) -> list[BoolMask]:
    found: list[BoolMask] = []

    def remember(*given: object) -> list[Placed]:
        placed = arrange(*given)  # type: ignore[arg-type]
        found.extend(each.full for each in placed)
        return placed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsol_core.synthetic.groups.arrange", remember)
        draw_group(seed, index, 4, SIDES, hard)
    return found


def test_masks_share_no_pixel_and_boxes_are_tight(drawn: list[DrawnGroup]) -> None:
    for picture in drawn:
        assert np.sum([each.mask for each in picture.objects], axis=0).max() == 1
        for each in picture.objects:
            x0, y0, x1, y1 = each.box_xyxy
            part = each.mask[y0:y1, x0:x1]
            assert part.sum() == each.mask.sum()
            assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))


def test_masks_are_exactly_what_fake_flat_paint_without_a_camera_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    colours = iter(range(1, 100))

    def flat(_rng: object, canvas: np.ndarray, animal: object, at_xy: tuple[int, int]) -> BoolMask:
        (x, y), alpha = at_xy, animal.alpha  # type: ignore[attr-defined]
        full = np.zeros(canvas.shape[:2], np.bool_)
        full[y : y + alpha.shape[0], x : x + alpha.shape[1]] = alpha >= 0.5
        canvas[full] = next(colours)
        return full

    monkeypatch.setattr("wsol_core.synthetic.groups.draw_ground", lambda *_: np.zeros((150, 160, 3), np.uint8))
    monkeypatch.setattr("wsol_core.synthetic.groups.paste", flat)
    monkeypatch.setattr("wsol_core.synthetic.groups.photograph", lambda _, canvas: canvas)
    picture = draw_group(1, 0, 4, difficulty=Difficulty(twigs=0.0))
    seen = {int(picture.image[each.mask][0, 0]): each.mask for each in picture.objects}
    assert len(seen) == len(picture.objects)
    for colour, mask in seen.items():
        assert (mask == (picture.image[..., 0] == colour)).all()


def test_the_same_numbers_give_the_same_picture_and_others_do_not(drawn: list[DrawnGroup]) -> None:
    again = draw_group(0, 3, 4, SIDES)
    assert (again.image == drawn[3].image).all()
    assert [each.box_xyxy for each in again.objects] == [each.box_xyxy for each in drawn[3].objects]
    other = draw_group(1, 3, 4, SIDES)
    assert other.image.shape != again.image.shape or (other.image != again.image).any()


@pytest.mark.parametrize("classes", [1, 2, 24])
def test_any_number_of_classes_can_stand_together(classes: int) -> None:
    pictures = [draw_group(2, index, classes, (64, 90)) for index in range(24)]
    assert {label for picture in pictures for label in picture.labels} == set(CLASS_NAMES[:classes])
