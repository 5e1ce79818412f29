"""Published data sets become folders: each layout, links in place of copies, and what is missing is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.wsol_core.datasets.miniature_trees import (
    BIRDS,
    BOX,
    SIZE,
    WNIDS,
    coco_tree,
    cub_tree,
    ilsvrc_tree,
    voc_tree,
    wsolevaluation_tree,
)
from wsol_core.data.folder import read_folder
from wsol_core.data.images import open_image
from wsol_core.data.true_mask import true_mask
from wsol_core.datasets.convert import KINDS, convert
from wsol_core.errors import ConfigError, DataError


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "annotations.jsonl").read_text().splitlines()]


def check_images(out: Path) -> None:
    """All of them open through links."""
    data = read_folder(out)
    assert data.skipped == ()
    assert all(open_image(sample.path).shape == (SIZE[1], SIZE[0], 3) for sample in data.samples)
    assert all(path.is_symlink() or path.name == "annotations.jsonl" for path in out.iterdir())


def test_cub_keeps_its_split_class_names_and_boxes(tmp_path: Path) -> None:
    done = convert("cub", cub_tree(tmp_path / "CUB_200_2011"), tmp_path / "out")
    assert (done.images, done.classes, done.objects) == ({"train": 4, "test": 4}, 2, 8)
    test = read_folder(tmp_path / "out", "test")
    assert test.classes == BIRDS
    assert [sample.truth[0].box_xyxy for sample in test.samples] == [BOX] * 4
    assert test.samples[0].file == f"images/{BIRDS[1]}/Laysan_Albatross_0005.jpg"
    check_images(tmp_path / "out")


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("in_folders", [False, True])
def test_ilsvrc_trains_on_class_folders_and_is_tested_on_boxes_of_xml_or_text(
    tmp_path: Path, text: bool, plain: bool, in_folders: bool
) -> None:
    done = convert("ilsvrc", ilsvrc_tree(tmp_path / "ILSVRC", text, plain, in_folders), tmp_path / "out")
    assert (done.images, done.classes, done.objects) == ({"train": 8, "test": 4}, 2, 8)
    test = read_folder(tmp_path / "out", "test")
    assert test.classes == WNIDS
    assert [[r.box_xyxy for r in sample.truth] for sample in test.samples] == [[BOX, (0, 0, 5, 5)]] * 4
    assert not any(sample.truth for sample in read_folder(tmp_path / "out", "train").samples)
    check_images(tmp_path / "out")


def test_wsolevaluation_gives_three_splits_and_boxes_as_stored(tmp_path: Path) -> None:
    done = convert("wsolevaluation", wsolevaluation_tree(tmp_path / "repo"), tmp_path / "out")
    assert (done.images, done.classes) == ({"train": 4, "val": 4, "test": 4}, 2)
    assert read_folder(tmp_path / "out", "val").classes == ("0000", "0001")
    assert rows(tmp_path / "out")[0] == {
        "file": "images/train/c0/0.jpg",
        "split": "train",
        "label": "0000",
        "width": SIZE[0],
        "height": SIZE[1],
        "objects": [{"label": "0000", "box": list(map(float, BOX))}],
    }
    check_images(tmp_path / "out")


def test_masks_of_openimages_come_with_boxes_around_them_and_ignore_masks(tmp_path: Path) -> None:
    convert("wsolevaluation", wsolevaluation_tree(tmp_path / "repo", masks=True), tmp_path / "out")
    assert not any(sample.truth for sample in read_folder(tmp_path / "out", "train").samples)
    [sample, *_] = read_folder(tmp_path / "out", "test").samples
    assert [region.box_xyxy for region in sample.truth] == [(10, 20, 30, 54), (30, 20, 50, 54)]
    union = true_mask(sample.truth, SIZE, within_boxes=False)
    assert union is not None and np.argwhere(union).min(0).tolist() == [20, 10] and union.sum() == 40 * 34
    assert sample.ignore_path is not None and sample.ignore_path.name == "0_ignore.png" and sample.ignore_path.is_file()
    check_images(tmp_path / "out")


@pytest.mark.parametrize("tested", [True, False])
def test_voc_counts_pixels_from_0_and_leaves_difficult_objects_out(tmp_path: Path, tested: bool) -> None:
    done = convert("voc", voc_tree(tmp_path / "VOCdevkit", tested), tmp_path / "out")
    assert done.images == ({"train": 2, "test": 1} if tested else {"train": 1, "test": 1})
    both = next(sample for sample in read_folder(tmp_path / "out").samples if len(sample.labels) == 2)
    assert [(r.label, r.box_xyxy) for r in both.truth] == [("dog", (10, 20, 50, 55)), ("cat", (0, 0, 10, 10))]
    check_images(tmp_path / "out")


def test_coco_leaves_crowds_out(tmp_path: Path) -> None:
    done = convert("coco", coco_tree(tmp_path / "coco"), tmp_path / "out")
    assert (done.images, done.classes, done.objects) == ({"train": 2, "test": 1}, 2, 5)
    [sample] = read_folder(tmp_path / "out", "test").samples
    assert sample.labels == ("cat", "dog")
    assert [(r.label, r.box_xyxy) for r in sample.truth] == [("dog", BOX), ("cat", (0, 0, 5.5, 5))]
    check_images(tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_folder_is_no_data_set_and_leaves_nothing_behind(tmp_path: Path, kind: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty.* name (the|its) folder"):
        convert(kind, tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out" / "annotations.jsonl").exists()


def test_a_torn_xml_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    root = voc_tree(tmp_path / "VOCdevkit")
    torn = root / "VOC2012" / "Annotations" / "2008_000002.xml"
    torn.write_text(torn.read_text()[:100])
    with pytest.raises(DataError, match=r"2008_000002\.xml cannot be read"):
        convert("voc", root, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_another_kind_and_a_folder_that_is_taken_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'imagenet' is unknown; choose one of cub, ilsvrc"):
        convert("imagenet", tmp_path, tmp_path / "out")
    convert("cub", cub_tree(tmp_path / "cub"), tmp_path / "out")
    with pytest.raises(ConfigError, match="already holds a data set"):
        convert("cub", tmp_path / "cub", tmp_path / "out")


def test_a_box_without_extent_is_left_out(tmp_path: Path) -> None:
    root = cub_tree(tmp_path / "cub")
    boxes = root / "bounding_boxes.txt"
    boxes.write_text(boxes.read_text().replace("8 10.0 20.0 40.0 35.0", "8 10.0 20.0 0.0 35.0"))
    assert convert("cub", root, tmp_path / "out").objects == 7
    assert read_folder(tmp_path / "out", "test").samples[-1].truth == ()
