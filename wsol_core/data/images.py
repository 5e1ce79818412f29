"""Read image files as upright RGB pixels, whatever their mode. See folder.py for which files are read.

Torch-free. Pillow reads; it lets go of the interpreter while it decodes, so threads decode side by side.
"""

from __future__ import annotations

import logging
import math
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from wsol_core.config import MAX_IMAGE_PIXELS
from wsol_core.data.decoding import TRANSPARENT_MODES, memory_to_decode
from wsol_core.data.repair import repaired
from wsol_core.errors import DataError
from wsol_core.ops.maps import resize

logger = logging.getLogger(__name__)

RgbPixels = NDArray[np.uint8]  # (H, W, 3)

BEHIND_TRANSPARENCY = (128, 128, 128)  # neither a black nor a white drawing vanishes on it
HUGE_PIXELS = 16_000_000
_AVERAGED_MODES = frozenset({"L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I", "F"})
_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "RGBX"})


def open_image(path: Path, name: str | None = None) -> RgbPixels:
    """The image upright, (H, W, 3) RGB in [0, 255]; only the first frame of several.

    Transparency lies over mid-grey. 16-bit and float images are scaled to 8 bit. `name` is what errors call it.
    """
    return _read(path, name or str(path), None)[0]


def open_image_small(path: Path, min_side: int, name: str | None = None) -> tuple[RgbPixels, tuple[int, int]]:
    """The image upright, and (width, height) of it in full size.

    A large JPEG is decoded at a half, a quarter or an eighth of its size, which takes a fraction of the time; both
    sides keep `min_side` pixels or what they have. Every other format comes in full size, up to HUGE_PIXELS.
    """
    return _read(path, name or str(path), min_side)


def open_mask(path: Path, name: str | None = None) -> NDArray[np.uint8]:
    """A single-channel mask as (H, W) of 0 and 255; every non-zero pixel or palette index is object."""
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L") if image.mode in ("RGB", "RGBA", "LA") else image)
    except Exception as error:
        raise DataError(
            f"Mask {name or path} cannot be read ({_reason(error)}); draw it again or remove it."
        ) from error
    return np.where(values != 0, np.uint8(255), np.uint8(0))


def resize_to_square(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Pixels (h, w, ...) resized to (side_px, side_px, ...) without keeping the aspect ratio; shrinking averages."""
    h, w = pixels.shape[:2]
    if (h, w) == (side_px, side_px):
        return pixels
    shrinks = h * w > side_px * side_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return resize(pixels, (side_px, side_px), how)


def _read(path: Path, name: str, min_side: int | None) -> tuple[RgbPixels, tuple[int, int]]:
    try:
        return _decode(path, name, min_side)
    except DataError as error:
        if not str(error).startswith(name):
            raise DataError(f"{name}: {error}.") from error
        raise
    except FileNotFoundError as error:
        raise DataError(f"{name} is not there; put it back or remove it from the list.") from error
    except Exception as error:
        # Pillow's readers raise almost anything on a torn file: OSError, SyntaxError, struct.error, KeyError, ...
        try:
            if (mended := repaired(path)) is not None:
                return _decode(mended, name, min_side)
        except DataError:
            raise
        except Exception:
            logger.debug("%s cannot be mended", name, exc_info=True)
        raise DataError(f"{name} cannot be read as an image ({_reason(error)}); replace or remove it.") from error


def _decode(file: Path | BytesIO, name: str, min_side: int | None) -> tuple[RgbPixels, tuple[int, int]]:
    with Image.open(file) as image:
        width, height = image.size
        if width * height > MAX_IMAGE_PIXELS:
            raise DataError(f"{name} has {width} x {height} pixels, more than {MAX_IMAGE_PIXELS:,}; make it smaller.")
        if min_side is not None and image.format == "JPEG":
            # Every JPEG mode but grey decodes into three channels or CMYK; draft leaves the mode alone for None.
            image.draft(None, (min_side, min_side))
        array_pixels = width * height // _fraction(image.size, min_side) ** 2
        with memory_to_decode(image, (width, height), array_pixels):
            image.load()
            if image.format != "JPEG":
                width, height = image.size  # TIFF turns itself upright while loading
            orientation = orientation_of(image)
            pixels = _upright(_rgb(_without_excess(image, min_side)), orientation)
    return pixels, ((height, width) if orientation >= 5 else (width, height))


def _without_excess(image: Image.Image, min_side: int | None) -> Image.Image:
    """The image averaged to a whole fraction of its size where it is huge and is wanted small.

    Each step from here to the array copies all pixels.
    """
    if (fraction := _fraction(image.size, min_side)) < 2:
        return image
    if image.mode in _AVERAGED_MODES:
        return image.reduce(fraction)
    is_transparent = "transparency" in image.info or image.mode in TRANSPARENT_MODES
    plain = image.convert("RGBA" if is_transparent else "I" if image.mode.startswith("I") else "RGB")
    return plain.reduce(fraction)


def _fraction(size_wh: tuple[int, int], min_side: int | None) -> int:
    """At which fraction of its size an image of `size_wh` is averaged: 1, 2, 3, ...; both sides keep `min_side`."""
    width, height = size_wh
    if min_side is None or width * height <= HUGE_PIXELS:
        return 1
    return max(1, min(math.isqrt(width * height // HUGE_PIXELS) + 1, min(width, height) // min_side))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no known format"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said).splitlines()[0][:200]


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8, as browsers follow it; 1 where there is none or it makes no sense.

    People draw on what a browser shows, and that turns no WebP, nor what only XMP or a PNG's text says of the camera.
    """
    if image.format == "WEBP":
        return 1
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1  # pixels are fine where only the EXIF block is torn, and that raises almost anything
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: RgbPixels, orientation: int) -> RgbPixels:
    """Undo the camera's turn: 2 to 4 are mirrored or half turned, 5 to 8 have their sides exchanged as well."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _rgb(image: Image.Image) -> RgbPixels:
    if image.mode.startswith(("I", "F")):
        grey = _to_8_bit(np.asarray(image))
        return np.repeat(grey[..., None], 3, axis=2)
    if "transparency" not in image.info and image.mode in _PLAIN_MODES:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    layer = image.convert("RGBA")
    under = Image.new("RGBA", image.size, (*BEHIND_TRANSPARENCY, 255))
    return np.asarray(Image.alpha_composite(under, layer).convert("RGB"))


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey values of unknown depth (h, w) as 8 bit.

    Integers are taken for 8, 10, 12, 14 or 16 bit, the least that holds them, so that images of 12-bit cameras in
    16-bit files are not nearly black; floats up to 1 for shares. What has negative or larger values is stretched.
    """
    numbers = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low < 0 or high > 65535:
        numbers, high = numbers - low, high - low
        full = high or 1.0
    elif values.dtype.kind == "f" and high <= 1:
        full = 1.0
    else:
        full = next(2.0**bits - 1 for bits in (8, 10, 12, 14, 16) if high <= 2**bits - 1)
    return np.asarray(np.rint(numbers * (255 / full)), np.uint8)
