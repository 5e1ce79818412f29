"""The folder of an export: whole or not there, with names and pictures that every reader can use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wsol_core.exports.exported import CLASSES, image_file, three_images
from wsol_core.errors import ConfigError, DataError, ExportExistsError
from wsol_core.exports.export_folder import Pictures, write_dataset
from wsol_core.exports.formats import FORMATS
from wsol_core.exports.records import ExportedImage


def exported(out: Path, images: list[ExportedImage], **more: object) -> list[str]:
    """The names that the images got."""
    write_dataset(images, CLASSES, FORMATS["coco"], out, **more)  # type: ignore[arg-type]
    files = sorted(out.glob("annotations/*.json"))
    return [each["file_name"] for file in files for each in json.loads(file.read_text())["images"]]


def test_names_are_flat_and_their_stems_different(tmp_path: Path) -> None:
    [image, *_] = three_images(tmp_path)
    names = ["dogs/a.png", "dogs__A.png", "../Ünï cödé?.png", "a b.png", "https://x.test/?q=1", ""]
    images = [replace(image, name=name, number=number) for number, name in enumerate(names, 1)]
    assert exported(tmp_path / "out", images) == [
        "dogs__a.png",
        "dogs__A-2.png",
        "__Ünï_cödé_.png",
        "a_b.png",
        "https_____x.test___q_1.png",
        "image.png",
    ]


def test_a_picture_gets_the_ending_of_what_it_is(tmp_path: Path) -> None:
    jpeg = tmp_path / "cached"
    Image.new("RGB", (8, 6)).save(jpeg, "JPEG")
    assert exported(tmp_path / "out", [ExportedImage("a.png", (8, 6), (), path=jpeg, number=1)]) == ["a.jpg"]


def test_a_picture_is_copied_as_it_is(tmp_path: Path) -> None:
    picture = image_file(tmp_path / "a.png")
    exported(tmp_path / "out", [ExportedImage("a.png", (120, 90), (), path=picture, number=1)])
    assert (tmp_path / "out/images/a.png").read_bytes() == picture.read_bytes()


def test_a_picture_that_exif_turns_is_written_upright(tmp_path: Path) -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:, :40] = 250
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, clockwise
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    for how in (Pictures.COPY, Pictures.LINK):
        out = tmp_path / how.value
        exported(out, [ExportedImage("a.jpg", (60, 80), (), path=tmp_path / "a.jpg", number=1)], pictures=how)
        with Image.open(out / "images/a.jpg") as image:
            assert image.size == (60, 80) and image.getexif().get(0x0112, 1) == 1
            assert np.asarray(image)[10].mean() > 240 and np.asarray(image)[70].mean() < 10


def test_a_picture_that_only_other_programs_turn_is_written_so_that_none_does(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((60, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.webp", exif=exif)
    exported(tmp_path / "out", [ExportedImage("a.webp", (80, 60), (), path=tmp_path / "a.webp", number=1)])
    with Image.open(tmp_path / "out/images/a.webp") as image:
        assert image.size == (80, 60) and image.getexif().get(0x0112, 1) == 1


def test_links_take_no_space_and_no_pictures_are_no_pictures(tmp_path: Path) -> None:
    images = three_images(tmp_path / "pictures")
    exported(tmp_path / "linked", images, pictures=Pictures.LINK)
    assert (tmp_path / "linked/images/a.png").samefile(tmp_path / "pictures/a.png")
    exported(tmp_path / "bare", images, pictures=Pictures.NONE)
    assert not (tmp_path / "bare/images").exists()


def test_an_older_export_is_replaced_only_where_that_is_wanted(tmp_path: Path) -> None:
    images, out = three_images(tmp_path / "pictures"), tmp_path / "out"
    exported(out, images)
    with pytest.raises(ExportExistsError, match="holds an export already"):
        exported(out, images[:1])
    assert exported(out, images[:1], replace=True) == ["a.png"]
    assert not (out / "annotations/instances_val.json").exists()


def test_a_folder_that_is_no_export_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="is no export"):
        exported(tmp_path / "home", three_images(tmp_path / "pictures"), replace=True)
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_an_export_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    images, out = three_images(tmp_path / "pictures"), tmp_path / "out"
    exported(out, images)

    def interrupted() -> Iterator[ExportedImage]:
        yield images[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(interrupted(), CLASSES, FORMATS["yolo"], out, replace=True)
    assert sorted(path.name for path in out.iterdir()) == ["annotations", "export.json", "images"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "pictures"]


def test_splits_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    [image, *_] = three_images(tmp_path / "pictures")
    write_dataset([replace(image, split="../../oops")], CLASSES, FORMATS["yolo"], tmp_path / "out")
    assert (tmp_path / "out/images/_.._oops").is_dir() or (tmp_path / "out/images/_oops").is_dir()


def test_nothing_to_export_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to export"):
        exported(tmp_path / "out", [])
    assert not (tmp_path / "out").exists()
