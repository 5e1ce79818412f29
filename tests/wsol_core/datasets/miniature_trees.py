"""Miniature data sets in exactly the layouts of CUB, ILSVRC, wsolevaluation, VOC and COCO, with real JPEGs."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
WNIDS = ("n01440764", "n01443537")
SIZE = (80, 60)  # width, height
BOX = (10, 20, 50, 55)  # x0, y0, x1, y1
_XML = """<annotation><folder>f</folder><filename>x</filename><size><width>{w}</width><height>{h}</height>
<depth>3</depth></size>{objects}</annotation>"""
_OBJECT = """<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated>
<difficult>{difficult}</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"""


def picture(path: Path, number: int) -> None:
    """A bright box of the number's colour on noise."""
    pixels = np.random.default_rng(number).integers(90, 160, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    x0, y0, x1, y1 = BOX
    pixels[y0:y1, x0:x1] = ((200, 30, 30), (30, 30, 200))[number % 2]
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def lines(path: Path, *texts: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def cub_tree(root: Path, images: int = 8) -> Path:
    """Half of the images to train on; both classes in both halves."""
    numbers = range(1, images + 1)
    files = {n: f"{BIRDS[n % 2]}/{BIRDS[n % 2][4:]}_{n:04d}.jpg" for n in numbers}
    for n in numbers:
        picture(root / "images" / files[n], n)
    lines(root / "images.txt", *(f"{n} {files[n]}" for n in numbers))
    lines(root / "image_class_labels.txt", *(f"{n} {n % 2 + 1}" for n in numbers))
    lines(root / "classes.txt", *(f"{n + 1} {name}" for n, name in enumerate(BIRDS)))
    lines(root / "train_test_split.txt", *(f"{n} {int(n <= images // 2)}" for n in numbers))
    x0, y0, x1, y1 = BOX
    lines(root / "bounding_boxes.txt", *(f"{n} {x0}.0 {y0}.0 {x1 - x0}.0 {y1 - y0}.0" for n in numbers))
    return root


def xml(*objects: tuple[str, tuple[int, int, int, int], bool]) -> str:
    drawn = (
        _OBJECT.format(name=name, difficult=int(difficult), x0=box[0], y0=box[1], x1=box[2], y1=box[3])
        for name, box, difficult in objects
    )
    return _XML.format(w=SIZE[0], h=SIZE[1], objects="".join(drawn))


def ilsvrc_tree(root: Path, text: bool = False, plain: bool = False, in_folders: bool = False) -> Path:
    """Four images a class to train on and two to test on; the archives' folders, or `plain` ones."""
    data = root if plain else root / "Data" / "CLS-LOC"
    for n in range(8):
        picture(data / "train" / WNIDS[n % 2] / f"{WNIDS[n % 2]}_{n}.JPEG", n)
    rows = ["ImageId,PredictionString"]
    for n in range(4):
        name, label = f"ILSVRC2012_val_{n + 1:08d}", WNIDS[n % 2]
        picture(data / "val" / (label if in_folders else ".") / f"{name}.JPEG", n)
        if text:
            rows.append(f"{name},{label} {' '.join(map(str, BOX))} {label} 0 0 5 5 ")
        else:
            folder = root / "val_annotations" if plain else root / "Annotations" / "CLS-LOC" / "val"
            lines(folder / f"{name}.xml", xml((label, BOX, False), (label, (0, 0, 5, 5), False)))
    if text:
        lines(root / "LOC_val_solution.csv", *rows)
    return root


def wsolevaluation_tree(root: Path, masks: bool = False) -> Path:
    """CUB with boxes, or OpenImages with two masks an image and an ignore mask."""
    name = "OpenImages" if masks else "CUB"
    for split in ("train", "val", "test"):
        folder, files = root / "metadata" / name / split, [f"{split}/c{n % 2}/{n}.jpg" for n in range(4)]
        for n, file in enumerate(files):
            picture(root / "dataset" / name / file, n)
        lines(folder / "image_ids.txt", *files)
        lines(folder / "class_labels.txt", *(f"{file},{n % 2}" for n, file in enumerate(files)))
        if not masks:
            lines(folder / "image_sizes.txt", *(f"{file},{SIZE[0]},{SIZE[1]}" for file in files))
            lines(folder / "localization.txt", *(f"{file},{','.join(map(str, BOX))}" for file in files))
        elif split != "train":
            lines(
                folder / "localization.txt", *(line for file in files for line in _masks(root / "dataset" / name, file))
            )
    return root


def _masks(data: Path, file: str) -> list[str]:
    """Two masks of half the image's size, the halves of the box, and an ignore mask in a corner."""
    stem = file.removesuffix(".jpg")
    x0, y0, x1, y1 = (value // 2 for value in BOX)
    middle = (x0 + x1) // 2
    for part, (left, right) in {"m0": (x0, middle), "m1": (middle, x1)}.items():
        mask = np.zeros((SIZE[1] // 2, SIZE[0] // 2), np.uint8)
        mask[y0:y1, left:right] = 255
        assert cv2.imwrite(str(data / f"{stem}_{part}.png"), mask)
    ignore = np.zeros((SIZE[1] // 2, SIZE[0] // 2), np.uint8)
    ignore[:4, :4] = 255
    assert cv2.imwrite(str(data / f"{stem}_ignore.png"), ignore)
    return [f"{file},{stem}_m0.png,{stem}_ignore.png", f"{file},{stem}_m1.png,"]


def voc_tree(root: Path, tested: bool = True) -> Path:
    """VOCdevkit with VOC2012: cats and dogs, one image with both, one with a difficult object alone."""
    year = root / "VOC2012"
    drawn = {
        "2008_000001": [("cat", (11, 21, 50, 55), False)],
        "2008_000002": [("dog", (11, 21, 50, 55), False), ("cat", (1, 1, 10, 10), False), ("dog", (1, 1, 9, 9), True)],
        "2008_000003": [("dog", (11, 21, 50, 55), False)],
        "2008_000004": [("dog", (11, 21, 50, 55), True)],
    }
    for n, (name, objects) in enumerate(drawn.items()):
        picture(year / "JPEGImages" / f"{name}.jpg", n)
        lines(year / "Annotations" / f"{name}.xml", xml(*objects))
    names, sets = list(drawn), year / "ImageSets" / "Main"
    lines(sets / "trainval.txt", *names[:2])
    lines(sets / "train.txt", names[0])
    lines(sets / "val.txt", names[1])
    if tested:
        lines(sets / "test.txt", *names[2:])
    return root


def coco_tree(root: Path) -> Path:
    """Two images to train on and two to test on, one of them with a crowd alone."""
    for split in ("train2017", "val2017"):
        for n in (1, 2):
            picture(root / split / f"{n:012d}.jpg", n)
        x0, y0, x1, y1 = BOX
        box = [x0, y0, x1 - x0, y1 - y0]
        outline = [[x0, y0, x1, y0, x1, y1]]
        annotations = [
            {"id": 1, "image_id": 1, "category_id": 18, "bbox": box, "iscrowd": 0, "segmentation": outline},
            {"id": 2, "image_id": 1, "category_id": 17, "bbox": [0, 0, 5.5, 5], "iscrowd": 0, "segmentation": outline},
            {"id": 3, "image_id": 2, "category_id": 18, "bbox": box, "iscrowd": int(split == "val2017")},
        ]
        images = [{"id": n, "file_name": f"{n:012d}.jpg", "width": SIZE[0], "height": SIZE[1]} for n in (1, 2)]
        categories = [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        lines(root / "annotations" / f"instances_{split}.json", json.dumps(content))
    return root
