"""Every kind of image file becomes upright RGB, or one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from wsol_core.config import MAX_IMAGE_PIXELS
from wsol_core.data import images as images
from wsol_core.data.images import open_image, open_image_small, open_mask, resize_to_square
from wsol_core.errors import DataError

RED, GREY = (255, 0, 0), (128, 128, 128)
CORNERS = np.array([[[10, 0, 0], [20, 0, 0], [30, 0, 0]], [[40, 0, 0], [50, 0, 0], [60, 0, 0]]], np.uint8)
TURNS = {  # EXIF orientation -> the red channel of CORNERS seen upright
    1: [[10, 20, 30], [40, 50, 60]],
    2: [[30, 20, 10], [60, 50, 40]],
    3: [[60, 50, 40], [30, 20, 10]],
    4: [[40, 50, 60], [10, 20, 30]],
    5: [[10, 40], [20, 50], [30, 60]],
    6: [[40, 10], [50, 20], [60, 30]],
    7: [[60, 30], [50, 20], [40, 10]],
    8: [[30, 60], [20, 50], [10, 40]],
}


def saved(folder: Path, image: Image.Image, name: str = "x.png", **options: object) -> Path:
    image.save(folder / name, **options)  # type: ignore[arg-type]
    return folder / name


def colours(path: Path) -> list[tuple[int, ...]]:
    return [tuple(int(v) for v in pixel) for pixel in open_image(path).reshape(-1, 3)]


@pytest.mark.parametrize(
    ("mode", "fill", "name", "colour"),
    [
        ("1", 1, "x.png", (255, 255, 255)),
        ("L", 77, "x.png", (77, 77, 77)),
        ("RGB", RED, "x.png", RED),
        ("LA", (77, 255), "x.png", (77, 77, 77)),
        ("LA", (77, 0), "x.png", GREY),
        ("RGBA", (255, 0, 0, 255), "x.png", RED),
        ("RGBA", (255, 0, 0, 0), "x.png", GREY),
        ("RGBA", (255, 255, 255, 0), "x.webp", GREY),
        ("CMYK", (0, 255, 255, 0), "x.tif", RED),
        ("YCbCr", (77, 128, 128), "x.tif", (77, 77, 77)),
        ("I;16", 65535, "x.png", (255, 255, 255)),
        ("I", 51, "x.tif", (51, 51, 51)),
        ("F", 0.2, "x.tif", (51, 51, 51)),
    ],
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, mode: str, fill: float | tuple[int, ...], name: str, colour: tuple[int, ...]
) -> None:
    assert colours(saved(tmp_path, Image.new(mode, (2, 1), fill), name)) == [colour, colour]


def test_a_cmyk_jpeg_has_its_colours(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "x.jpg", quality=95)
    assert np.abs(open_image(path).astype(int) - RED).max() <= 3


def test_a_palette_with_a_transparent_colour_lies_over_grey(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert colours(saved(tmp_path, image, transparency=1)) == [RED, GREY]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 255], [0, 255]),
        ([0, 4095], [0, 255]),  # 12 bit in a 16-bit file
        ([0, 32768], [0, 128]),
        ([0, 65535], [0, 255]),
    ],
)
def test_16_bit_images_of_every_depth_span_the_range(tmp_path: Path, values: list[int], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.uint16))
    assert [red for red, _, _ in colours(saved(tmp_path, image))] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 1.0], [0, 255]), ([0.0, 255.0], [0, 255]), ([-1.0, 1.0], [0, 255]), ([np.nan, 1.0], [0, 255])],
)
def test_float_images_span_the_range(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert [red for red, _, _ in colours(saved(tmp_path, image, "x.tif"))] == expected


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_exif_turned_images_are_upright(tmp_path: Path, orientation: int, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(CORNERS), name, exif=exif)
    assert open_image(path)[..., 0].tolist() == TURNS[orientation]
    pixels, (width, height) = open_image_small(path, 1)
    assert pixels.shape == (height, width, 3)


def test_what_browsers_do_not_turn_stays_as_it_is(tmp_path: Path) -> None:
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0112] = 6
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    pixels = Image.fromarray(CORNERS)
    turned_by_others = (
        saved(tmp_path, pixels, "a.webp", exif=exif, lossless=True),
        saved(tmp_path, pixels, "b.png", pnginfo=text),
    )
    for path in turned_by_others:
        assert open_image(path)[..., 0].tolist() == CORNERS[..., 0].tolist()
    jpeg = saved(tmp_path, pixels, "c.jpg", xmp=b'<x tiff:Orientation="6"/>')
    assert open_image_small(jpeg, 1)[1] == (3, 2)


def test_a_large_jpeg_is_decoded_small_and_tells_its_full_upright_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, Image.new("RGB", (800, 400), RED), "x.jpg", exif=exif)
    pixels, size_wh = open_image_small(path, 100)
    assert (pixels.shape, size_wh) == ((200, 100, 3), (400, 800))
    assert open_image_small(path, 300)[0].shape == (800, 400, 3)


def test_of_several_frames_the_first_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 1), colour) for colour in (RED, (0, 0, 255))]
    assert colours(saved(tmp_path, frames[0], "x.tif", save_all=True, append_images=frames[1:])) == [RED, RED]


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n torn"])
def test_what_is_no_image_raises_one_sentence_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match=r"^cats/x\.png cannot be read as an image \(.+\); replace or remove it\.$"):
        open_image(tmp_path / "x.png", "cats/x.png")


def test_a_torn_jpeg_is_unreadable(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "x.jpg")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match="truncated"):
        open_image_small(path, 8)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg is not there"):
        open_image(tmp_path / "gone.jpg")


def test_the_limit_of_pixels_is_pillows() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert MAX_IMAGE_PIXELS == 2 * Image.MAX_IMAGE_PIXELS  # from here on it raises instead of warning


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_IMAGE_PIXELS", 99)
    path = saved(tmp_path, Image.new("RGB", (10, 10)))
    with pytest.raises(DataError, match="10 x 10 pixels, more than 99"):
        open_image(path)


@pytest.mark.parametrize(("mode", "fill"), [("1", 1), ("L", 1), ("P", 3), ("RGB", RED), ("I;16", 1)])
def test_a_mask_of_any_mode_is_its_non_zero_pixels(tmp_path: Path, mode: str, fill: int | tuple[int, ...]) -> None:
    image = Image.new(mode, (2, 1))
    image.putpixel((1, 0), fill)
    if mode == "P":
        image.putpalette([0] * 768)  # a palette index counts, not its colour
    assert open_mask(saved(tmp_path, image)).tolist() == [[0, 255]]


def test_a_broken_mask_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"Mask .*m\.png cannot be read"):
        open_mask(tmp_path / "m.png")


def test_squashing_averages_and_leaves_the_right_size_alone() -> None:
    halves: NDArray[np.uint8] = np.repeat(np.array([[[0], [100]]], np.uint8), 2, axis=0)[..., [0, 0, 0]]
    assert resize_to_square(halves, 1).tolist() == [[[50, 50, 50]]]
    assert resize_to_square(halves, 2) is halves
