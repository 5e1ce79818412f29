"""Drawn data sets: the layout, the exactness of boxes and masks, and that nothing but the animal tells the class."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wsol_core.data.folder import read_folder
from wsol_core.errors import ConfigError, DataError, StorageError
from wsol_core.ops.masks import bounds
from wsol_core.synthetic.animals import EMBLEM_COLOURS, PUPIL_COLOURS
from wsol_core.synthetic.bodies import CLASS_NAMES
from wsol_core.synthetic.compositing import Difficulty
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.synthetic.groups import draw_group
from wsol_core.synthetic.single import SMALL as SMALL_ANIMALS
from wsol_core.synthetic.single import draw_image

SMALL = (96, 128)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "annotations.jsonl").read_text().splitlines()]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "new" / "set"
    draw_folder(folder, classes=3, images=26, seed=7, sides_px=SMALL)
    return folder


def test_every_line_names_files_that_fit_each_other(drawn: Path) -> None:
    rows = read_rows(drawn)
    assert len(rows) == 26
    for row in rows:
        assert set(row) == {"file", "label", "split", "width", "height", "boxes", "mask"}
        assert row["file"].startswith(f"images/{row['label']}/")
        image = cv2.imread(str(drawn / row["file"]))
        mask = cv2.imread(str(drawn / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert image.shape == (row["height"], row["width"], 3)
        assert mask.shape == (row["height"], row["width"])
        assert set(np.unique(mask)) == {0, 255}


def test_boxes_are_tight_around_the_mask_with_exclusive_ends(drawn: Path) -> None:
    for row in read_rows(drawn):
        mask = cv2.imread(str(drawn / row["mask"]), cv2.IMREAD_UNCHANGED) > 0
        outside = mask.copy()
        for x0, y0, x1, y1 in row["boxes"]:
            part = mask[y0:y1, x0:x1]
            assert part.shape == (y1 - y0, x1 - x0)
            assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))
            outside[y0:y1, x0:x1] = False
        assert not outside.any()


def test_the_classes_share_the_images_and_the_test_split_evenly(drawn: Path) -> None:
    rows = read_rows(drawn)
    counts = {
        name: [sum(row["label"] == name and row["split"] == split for row in rows) for split in ("train", "test")]
        for name in CLASS_NAMES[:3]
    }
    assert counts == {"ladybird": [7, 2], "fish": [7, 2], "crab": [6, 2]}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(drawn: Path, tmp_path: Path) -> None:
    draw_folder(tmp_path / "again", classes=3, images=26, seed=7, sides_px=SMALL)
    draw_folder(tmp_path / "other", classes=3, images=26, seed=8, sides_px=SMALL)
    first, again, other = digests(drawn), digests(tmp_path / "again"), digests(tmp_path / "other")
    assert first == again
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


DRAWN_WITH = ("4.12.0", "2.2.6")
PIXELS = "3de56be05a766b86bf0d452269d22dc9559b318c410ebc450ec6de4d4d47f99a"


@pytest.mark.skipif((cv2.__version__, np.__version__) != DRAWN_WITH, reason="other libraries may round otherwise")
def test_images_stay_what_they_were_bit_for_bit() -> None:
    found = hashlib.sha256()
    for index in range(8):
        image = draw_image(0, index, 4, (64, 128))
        found.update(image.image.tobytes() + image.mask.tobytes() + repr(image.boxes_xyxy).encode())
    assert found.hexdigest() == PIXELS


def test_an_image_does_not_depend_on_how_many_are_drawn(drawn: Path, tmp_path: Path) -> None:
    draw_folder(tmp_path / "few", classes=3, images=5, seed=7, sides_px=SMALL)
    first, few = digests(drawn), digests(tmp_path / "few")
    images = [name for name in few if name != "annotations.jsonl"]
    assert len(images) == 10
    assert all(few[name] == first[name] for name in images)


@pytest.mark.parametrize("classes", [1, 24])
def test_any_number_of_classes_can_be_drawn(classes: int, tmp_path: Path) -> None:
    draw_folder(tmp_path / "set", classes, images=24, seed=0, sides_px=(64, 80))
    assert {row["label"] for row in read_rows(tmp_path / "set")} == set(CLASS_NAMES[:classes])


def test_the_ground_does_not_know_the_class() -> None:
    """The same image as class 0 and as class 1 differs only on the animals, their shadow and under the twig."""
    lone = Difficulty(largest=0.35, several=0.0, twigs=0.0)
    one, two = (draw_image(3, 1, classes, (200, 200), lone) for classes in (1, 2))
    assert (one.label, two.label) == ("ladybird", "fish")
    near = cv2.dilate((one.mask | two.mask).astype(np.uint8), np.ones((61, 61), np.uint8)) > 0
    ground = [cv2.blur(np.float32(image.image), (9, 9))[~near] for image in (one, two)]
    assert np.corrcoef(ground[0].ravel(), ground[1].ravel())[0, 1] > 0.95


def test_sizes_and_numbers_of_animals_vary() -> None:
    images = [draw_image(0, index, 4, SMALL) for index in range(60)]
    share = np.array([image.mask.mean() for image in images])
    assert share.min() < 0.08
    assert share.max() > 0.35
    assert {len(image.boxes_xyxy) for image in images} == {1, 2, 3}
    assert 0.7 < np.mean([len(image.boxes_xyxy) == 1 for image in images]) < 0.95


def test_a_twig_is_no_part_of_the_animal_behind_it() -> None:
    bare, hidden = (draw_image(0, 5, 1, (256, 256), Difficulty(several=0.0, twigs=twigs)) for twigs in (0.0, 1.0))
    assert not (hidden.mask & ~bare.mask).any()
    seeds = range(12)
    cut = [
        draw_image(seed, 0, 1, (128, 128), Difficulty(twigs=0.0)).mask.sum()
        - draw_image(seed, 0, 1, (128, 128), Difficulty(twigs=1.0)).mask.sum()
        for seed in seeds
    ]
    assert max(cut) > 0


@pytest.mark.slow
def test_animals_that_touch_have_a_line_with_a_mask_file_each(drawn: Path, tmp_path: Path) -> None:
    draw_folder(tmp_path / "set", classes=3, images=12, seed=7, sides_px=SMALL, touching=1.0)
    rows = read_rows(tmp_path / "set")
    assert [(row["file"], row["split"]) for row in rows] == [(r["file"], r["split"]) for r in read_rows(drawn)[:12]]
    for row in rows:
        assert set(row) == {"file", "labels", "split", "width", "height", "objects", "boxes", "box_labels"}
        assert row["boxes"] == [each["box"] for each in row["objects"]]
        assert row["box_labels"] == [each["label"] for each in row["objects"]]
        assert cv2.imread(str(tmp_path / "set" / row["file"])).shape == (row["height"], row["width"], 3)
        for each in row["objects"]:
            mask = cv2.imread(str(tmp_path / "set" / each["mask"]), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (row["height"], row["width"])
            assert set(np.unique(mask)) == {0, 255}
            assert list(bounds(mask > 0)) == each["box"]


@pytest.mark.slow
def test_animals_that_touch_are_read_back_one_by_one(tmp_path: Path) -> None:
    draw_folder(tmp_path / "set", classes=3, images=6, seed=1, sides_px=SMALL, touching=1.0)
    for index, sample in enumerate(read_folder(tmp_path / "set").samples):
        image = draw_group(1, index, 3, SMALL)
        assert sample.labels == image.labels
        for region, each in zip(sample.truth, image.objects, strict=True):
            assert (region.label, region.box_xyxy) == (each.label, each.box_xyxy)
            assert region.mask_path is not None
            assert ((cv2.imread(str(region.mask_path), cv2.IMREAD_UNCHANGED) > 0) == each.mask).all()


@pytest.mark.slow
def test_a_share_of_the_images_touches_and_the_others_stay_as_they_are(tmp_path: Path) -> None:
    draw_folder(tmp_path / "none", 2, 40, 0, sides_px=(64, 64))
    draw_folder(tmp_path / "some", 2, 40, 0, sides_px=(64, 64), touching=0.25)
    touching = [row["file"] for row in read_rows(tmp_path / "some") if "objects" in row]
    assert 5 <= len(touching) <= 15
    none, some = digests(tmp_path / "none"), digests(tmp_path / "some")
    images = {name for name in none if name.endswith(".jpg")}
    assert {name for name in images if none[name] != some[name]} == set(touching)


def test_no_two_classes_share_an_emblem() -> None:
    assert len(EMBLEM_COLOURS) * len(PUPIL_COLOURS) >= len(CLASS_NAMES) == 24
    assert len(set(EMBLEM_COLOURS)) == len(EMBLEM_COLOURS)


def test_progress_counts_the_images(tmp_path: Path) -> None:
    heard: list[int] = []
    draw_folder(tmp_path / "set", 2, 4, 0, sides_px=(64, 64), on_image=heard.append)
    assert heard == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": 0}, "between 1 and 24"),
        ({"classes": 25}, "between 1 and 24"),
        ({"images": 3}, "every one of the 4 classes"),
        ({"seed": -1}, "0 or more"),
        ({"test_share": 1.0}, "below 1"),
        ({"touching": 1.5}, "touching is 1.5; .* at most 1"),
        ({"touching": 0.5, "subject": "small"}, "touching is 0.5; only animals of the usual size"),
        ({"classes": 7, "images": 9, "subject": "defects"}, "between 1 and 6 kinds of defects"),
        ({"sides_px": (300, 200)}, "64 pixels or more"),
    ],
)
def test_numbers_without_meaning_are_refused_before_anything_is_written(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        draw_folder(tmp_path / "set", **({"classes": 4, "images": 8, "seed": 0} | changed))
    assert not (tmp_path / "set").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="is in use"):
        draw_folder(tmp_path, 1, 1, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"No space left on device.*free some space"):
        draw_folder(tmp_path / "set", 1, 1, 0, sides_px=(64, 64))


@pytest.mark.slow
def test_small_animals_take_3_to_20_thousandths_of_the_picture() -> None:
    pictures = [draw_image(2, index, 24, (320, 480), SMALL_ANIMALS) for index in range(48)]
    for picture in pictures:
        size = picture.mask.size
        areas = [(x1 - x0) * (y1 - y0) / size for x0, y0, x1, y1 in picture.boxes_xyxy]
        assert max(areas) <= 0.02
        assert picture.mask.sum() >= 0.003 * len(areas) * size
    assert {len(picture.boxes_xyxy) for picture in pictures} == {1, 2, 3}


def test_pictures_of_small_animals_are_larger(tmp_path: Path) -> None:
    draw_folder(tmp_path / "set", classes=1, images=1, seed=0, subject="small")
    (row,) = read_rows(tmp_path / "set")
    assert min(row["width"], row["height"]) >= 640
