"""Folders of both layouts become Samples; what cannot be used is named with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wsol_core.data.folder import find_images, read_folder
from wsol_core.errors import DataError

BOX = [1, 2, 3, 4]


def class_folders(folder: Path, **classes: list[str]) -> Path:
    for name, files in classes.items():
        (folder / name).mkdir()
        for file in files:
            (folder / name / file).touch()
    return folder


def annotated(folder: Path, *rows: dict[str, Any] | str) -> Path:
    for row in rows:
        if isinstance(row, dict) and not row.get("missing") and isinstance(row.get("file"), str):
            path = folder / row["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "annotations.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def a_row(file: str = "a.jpg", label: object = "cat", **more: Any) -> dict[str, Any]:
    return {"file": file, "label": label, "split": "train", **more}


def test_class_folders_give_one_sample_an_image_sorted_by_name(tmp_path: Path) -> None:
    data = read_folder(class_folders(tmp_path, dog=["b.JPG", "a.png"], cat=["c.jpg", "notes.txt", ".hidden.jpg"]))
    assert [(s.file, s.labels) for s in data.samples] == [
        ("cat/c.jpg", ("cat",)),
        ("dog/a.png", ("dog",)),
        ("dog/b.JPG", ("dog",)),
    ]
    assert data.samples[0].path == tmp_path / "cat" / "c.jpg"
    assert data.classes == ("cat", "dog")
    assert data.skipped == ("cat/notes.txt is no image by its name.",)


def test_images_in_no_class_folder_are_skipped_unless_labels_are_not_needed(tmp_path: Path) -> None:
    (class_folders(tmp_path, cat=["c.jpg"]) / "loose.jpg").touch()
    assert read_folder(tmp_path).skipped == ("loose.jpg lies in no class folder.",)
    samples = read_folder(tmp_path, labelled=False).samples
    assert [(s.file, s.labels) for s in samples] == [("cat/c.jpg", ("cat",)), ("loose.jpg", ())]


def test_a_folder_of_loose_images_is_no_training_set(tmp_path: Path) -> None:
    (tmp_path / "loose.jpg").touch()
    with pytest.raises(DataError, match=r"no images in .*one sub-folder of images per class"):
        read_folder(tmp_path)


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Class folder .*dog has no images; add some or remove the folder"):
        read_folder(class_folders(tmp_path, cat=["c.jpg"], dog=[]))


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (["train/cat/1.jpg", "val/dog/1.jpg"], "look like splits whose classes (cat, dog); give"),
        (["images/cat/1.jpg", "images/dog/1.jpg"], "what look like classes (cat, dog); give"),
        (["train/1.jpg", "bus/1.jpg"], None),
        (["images/2026/1.jpg"], None),
    ],
)
def test_classes_that_lie_a_folder_deeper_are_named(tmp_path: Path, files: list[str], wanted: str | None) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    skipped = read_folder(tmp_path).skipped
    assert [wanted in sentence for sentence in skipped if wanted] == ([True] if wanted else [])
    assert len(skipped) == bool(wanted)


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="gone does not exist"):
        read_folder(tmp_path / "gone")
    with pytest.raises(DataError, match="file is a file"):
        read_folder(tmp_path / "file")


def test_class_folders_are_the_train_split_and_no_other(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=["c.jpg"])
    assert len(read_folder(tmp_path, "train").samples) == 1
    with pytest.raises(DataError, match=r"no annotations\.jsonl, so it has no split 'test'"):
        read_folder(tmp_path, "test")


def test_annotations_keep_their_order_and_their_splits_apart(tmp_path: Path) -> None:
    annotated(tmp_path, a_row("b.jpg"), a_row("a.jpg", split="test"), {"file": "c.jpg", "label": "dog"})
    assert [s.file for s in read_folder(tmp_path, "train").samples] == ["b.jpg", "c.jpg"]
    assert [s.file for s in read_folder(tmp_path, "test").samples] == ["a.jpg"]
    assert read_folder(tmp_path).classes == ("cat", "dog")
    assert read_folder(tmp_path, "test").classes == ("cat",)


def test_an_unknown_split_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    annotated(tmp_path, a_row("b.jpg"), a_row("a.jpg", split="test"))
    with pytest.raises(DataError, match=r"Split 'val' is unknown in .*; it has test, train\."):
        read_folder(tmp_path, "val")


def test_boxes_and_masks_are_truth_and_only_what_is_allowed_is_learned_from(tmp_path: Path) -> None:
    rows = [a_row(f"{i}.jpg", boxes=[BOX], mask="m.png") for i in range(4)]
    annotated(tmp_path, *rows, a_row("d.jpg", "dog", boxes=[BOX, [0, 0, 9, 9]]), a_row("none.jpg", mask=None))
    for allowed, learned in ((0, 0), (2, 3), (None, 5)):
        samples = read_folder(tmp_path, boxes_per_class=allowed).samples
        assert [len(s.truth) for s in samples] == [1, 1, 1, 1, 2, 0]
        assert sum(bool(s.regions) for s in samples) == learned
        assert all(s.regions in ((), s.truth) for s in samples)
    region = samples[0].truth[0]
    assert (region.label, region.box_xyxy, region.mask_path) == ("cat", (1, 2, 3, 4), tmp_path / "m.png")


def test_which_boxes_are_learned_from_does_not_depend_on_the_order_and_grows(tmp_path: Path) -> None:
    rows = [a_row(f"{i}.jpg", boxes=[BOX]) for i in range(9)]

    def learned(count: int) -> set[str]:
        return {s.file for s in read_folder(tmp_path, boxes_per_class=count).samples if s.regions}

    annotated(tmp_path, *rows)
    three, five = learned(3), learned(5)
    annotated(tmp_path, *reversed(rows))
    assert three < five
    assert learned(3) == three


def test_an_image_of_several_classes_names_the_class_of_each_box(tmp_path: Path) -> None:
    row = a_row(label=None, labels=["cat", "dog"], boxes=[BOX, [0, 0, 9, 9]], box_labels=["dog", "cat"])
    sample = read_folder(annotated(tmp_path, row)).samples[0]
    assert sample.labels == ("cat", "dog")
    assert [region.label for region in sample.truth] == ["dog", "cat"]


def an_object(label: str = "cat", box: object = BOX, **more: Any) -> dict[str, Any]:
    return {"label": label, "box": box, **more}


def test_each_object_keeps_its_own_class_box_and_mask(tmp_path: Path) -> None:
    objects = [an_object("dog", mask="masks/a__0.png"), an_object(mask=None), an_object(box=[0, 0, 9, 9])]
    row = a_row(label="cat", labels=["cat", "dog"], objects=objects)
    sample = read_folder(annotated(tmp_path, row), boxes_per_class=None).samples[0]
    assert [(region.label, region.box_xyxy, region.mask_path) for region in sample.truth] == [
        ("dog", (1, 2, 3, 4), tmp_path / "masks" / "a__0.png"),
        ("cat", (1, 2, 3, 4), None),
        ("cat", (0, 0, 9, 9), None),
    ]
    assert sample.regions == sample.truth


def test_objects_win_over_boxes_for_older_readers(tmp_path: Path) -> None:
    older = {"boxes": [BOX, [5, 5, 9, 9]], "box_labels": ["cat", "cat"], "mask": "union.png"}
    rows = [
        a_row("a.jpg", objects=[an_object(box=[0, 0, 9, 9], mask="a__0.png")], **older),
        a_row("none.jpg", objects=[], **older),
        a_row("null.jpg", objects=None, **older),
    ]
    first, none, null = read_folder(annotated(tmp_path, *rows)).samples
    assert [(region.box_xyxy, region.mask_path) for region in first.truth] == [((0, 0, 9, 9), tmp_path / "a__0.png")]
    assert (none.labels, none.truth) == (("cat",), ())
    assert len(null.truth) == 2


def test_objects_are_clipped_to_the_image(tmp_path: Path) -> None:
    row = a_row(width=10, height=8, objects=[an_object(box=[-1, 2, 30, 9])])
    assert read_folder(annotated(tmp_path, row)).samples[0].truth[0].box_xyxy == (0, 2, 10, 8)


def test_boxes_are_clipped_to_the_image(tmp_path: Path) -> None:
    sample = read_folder(annotated(tmp_path, a_row(width=10, height=8, boxes=[[-1, 2, 30, 9]]))).samples[0]
    assert sample.truth[0].box_xyxy == (0, 2, 10, 8)


def test_where_all_listed_images_are_missing_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no images in .* \(gone.jpg is listed but not there.\)"):
        read_folder(annotated(tmp_path, a_row("gone.jpg", missing=True)))


def test_a_listed_image_that_is_missing_is_skipped(tmp_path: Path) -> None:
    data = read_folder(annotated(tmp_path, a_row("a.jpg"), a_row("gone.jpg", missing=True)))
    assert (len(data.samples), data.skipped) == (1, ("gone.jpg is listed but not there.",))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{torn", r"line 2 is no JSON \("),
        ("[1]", "line 2 has to be an object"),
        (a_row(split=3), "line 2 has to be an object"),
        ({"label": "cat"}, 'line 2: "file" is None'),
        (a_row("../x.jpg"), "leads out of the folder"),
        (a_row("/x.jpg"), "leads out of the folder"),
        (a_row(mask="../m.png"), '"mask" .* leads out of the folder'),
        ({"file": "a.jpg"}, r'line 2: a.jpg has no class; add "label"'),
        (a_row(label=3), '"label" has to be a name'),
        (a_row(boxes=7), '"boxes" is 7'),
        (a_row(boxes=[[1, 2, 3]]), r"box \[1, 2, 3\] has to be four numbers"),
        (a_row(boxes=[[3, 2, 1, 4]]), "is empty or outside the image"),
        (a_row(boxes=[[1, 2, float("nan"), 4]]), r"box \[1, 2, nan, 4\] has to be four numbers"),
        pytest.param(a_row(boxes=[[0, 0, 10**400, 4]]), r"box \[0, 0, 10+ has to be four numbers", id="huge number"),
        pytest.param('{"file": ' + "[" * 100_000, r"line 2 is no JSON \(", id="deep"),
        ('{"file": "a.jpg", "label": "\\ud800"}', '"label" has to be a name'),
        (a_row(label=" "), '"label" has to be a name'),
        (a_row(boxes=[[20, 2, 30, 4]], width=10, height=10), "is empty or outside the image"),
        (a_row(labels=["dog"], boxes=[BOX]), 'boxes and 2 classes; add "box_labels"'),
        (a_row(boxes=[BOX], box_labels=["dog"]), '"box_labels" .* one of the image'),
        (a_row(objects=7), 'line 2: "objects" is 7; it has to be a list of .*"box"'),
        (a_row(objects=[BOX]), r'line 2: \[1, 2, 3, 4\] in "objects" has to be .*"label"'),
        (a_row(objects=[an_object("dog")]), r"line 2: an object's label is 'dog'; .* image's labels \(cat\)"),
        (a_row(objects=[{"box": BOX}]), "line 2: an object's label is None"),
        (a_row(objects=[{"label": ["cat"], "box": BOX}]), r"line 2: an object's label is \['cat'\]"),
        (a_row(objects=[{"label": "cat"}]), "line 2: box None has to be four numbers"),
        (a_row(objects=[an_object(box=[3, 2, 1, 4])]), "line 2: box .* is empty or outside the image"),
        (a_row(objects=[an_object(mask="../m.png")]), 'line 2: "mask" .* leads out of the folder'),
        (a_row("good.jpg"), "line 2: good.jpg is listed before, on line 1"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, row: dict[str, Any] | str, message: str) -> None:
    annotated(tmp_path, a_row("good.jpg"), row)
    with pytest.raises(DataError, match=message):
        read_folder(tmp_path, boxes_per_class=None)


def test_images_to_localize_need_no_class(tmp_path: Path) -> None:
    assert read_folder(annotated(tmp_path, {"file": "a.jpg"}), labelled=False).samples[0].labels == ()


def test_background_images_are_found_at_any_depth(tmp_path: Path) -> None:
    class_folders(tmp_path, sea=["b.png", "x.txt"])
    (tmp_path / "a.jpg").touch()
    assert find_images(tmp_path) == (tmp_path / "a.jpg", tmp_path / "sea" / "b.png")
    with pytest.raises(DataError, match="gone is not a folder"):
        find_images(tmp_path / "gone")


def test_a_line_with_no_labels_is_a_negative_and_no_sample(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).touch()
    lines = ({"file": "a.jpg", "label": "crack"}, {"file": "b.jpg", "labels": []})
    lines += ({"file": "c.jpg", "labels": [], "split": "test"},)
    (tmp_path / "annotations.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    data = read_folder(tmp_path, "train")
    assert [sample.file for sample in data.samples] == ["a.jpg"]
    assert data.classes == ("crack",)
    assert data.negatives == (tmp_path / "b.jpg",)
    with pytest.raises(DataError, match="no images that show a class"):
        read_folder(tmp_path, "test")
    assert len(read_folder(tmp_path, labelled=False).samples) == 3
