"""Files that browsers show and Pillow alone refuses."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol_core.data import decoding
from wsol_core.data.images import open_image, open_image_small
from wsol_core.data.repair import repaired
from wsol_core.errors import DataError


def picture() -> Image.Image:
    return Image.radial_gradient("L").convert("RGB")


def jpeg(**options: bool) -> bytes:
    file = io.BytesIO()
    picture().save(file, "JPEG", **options)
    return file.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_without_its_end_is_read(options: dict[str, bool], missing: int, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole.jpg", tmp_path / "torn.jpg"
    whole.write_bytes(jpeg(**options))
    torn.write_bytes(jpeg(**options)[:-missing])
    assert np.array_equal(open_image(torn), open_image(whole))
    assert open_image_small(torn, 32)[1] == (256, 256)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_jpeg_whose_pixels_are_missing_is_refused(share: float, tmp_path: Path) -> None:
    content = jpeg()
    (tmp_path / "torn.jpg").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="cannot be read as an image"):
        open_image(tmp_path / "torn.jpg")


def test_a_png_with_more_text_than_pillow_takes_is_read(tmp_path: Path) -> None:
    file = io.BytesIO()
    picture().save(file, "PNG")
    content = file.getvalue()
    text = png_chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"word " * 500_000))
    (tmp_path / "a.png").write_bytes(content[:33] + text + content[33:])
    assert np.array_equal(open_image(tmp_path / "a.png"), np.asarray(picture()))


def test_a_jpeg_that_would_take_too_much_memory_is_not_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torn.jpg").write_bytes(jpeg(progressive=True)[:-1])
    monkeypatch.setattr(decoding, "BUDGET_BYTES", 10_000)
    assert repaired(tmp_path / "torn.jpg") is None
