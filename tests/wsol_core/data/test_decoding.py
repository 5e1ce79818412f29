"""The memory of decoding is shared: threads wait for it, and what would never fit is refused before it is decoded."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol_core.data import decoding, images
from wsol_core.data.decoding import MemoryBudget, bytes_to_decode
from wsol_core.data.images import HUGE_PIXELS, open_image, open_image_small
from wsol_core.errors import DataError


def test_who_needs_more_than_is_left_waits_until_it_is_given_back() -> None:
    budget, order = MemoryBudget(100), list[str]()

    def second() -> None:
        with budget.hold(50):
            order.append("second")

    with budget.hold(60):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_what_never_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="101 bytes are more than 100"), MemoryBudget(100).hold(101):
        pass


@pytest.mark.parametrize(("image_format", "options"), [("WEBP", {}), ("JPEG", {"progressive": True})])
def test_an_image_that_takes_too_much_memory_is_refused_before_it_is_decoded(
    image_format: str, options: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image"
    Image.new("RGB", (64, 64)).save(path, image_format, **options)
    monkeypatch.setattr(decoding, "BUDGET_BYTES", 20_000)
    monkeypatch.setattr(Image.Image, "load", lambda _self: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match=r"takes .* MB of memory.* make it smaller"):
        open_image_small(path, 8)


def test_a_baseline_jpeg_wanted_small_takes_little_memory_and_a_progressive_one_much() -> None:
    needed = {}
    for progressive in (False, True):
        file = io.BytesIO()
        Image.new("RGB", (4000, 4000)).save(file, "JPEG", progressive=progressive)
        image = Image.open(file)
        image.draft(None, (1, 1))
        needed[progressive] = bytes_to_decode(image, (4000, 4000))
    assert needed[False] < 2_000_000 and needed[True] > 90_000_000


def test_a_huge_image_wanted_small_is_averaged_before_it_is_copied(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.fromarray(np.full((4100, 4100), 77, np.uint8)).save(path, compress_level=1)
    pixels, size_wh = open_image_small(path, 224)
    assert HUGE_PIXELS < 4100 * 4100 and size_wh == (4100, 4100)
    assert pixels.shape == (2050, 2050, 3) and (pixels == 77).all()
    assert open_image(path).shape == (4100, 4100, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F"])
def test_an_image_of_any_mode_is_averaged_while_it_is_huge(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.tif"
    Image.new(mode, (400, 300)).save(path)
    monkeypatch.setattr(images, "HUGE_PIXELS", 10_000)
    pixels, size_wh = open_image_small(path, 8)
    assert (pixels.shape, size_wh) == ((75, 100, 3), (400, 300))


@pytest.mark.parametrize(("mode", "least"), [("RGB", 10), ("RGBA", 26), ("LAB", 14), ("I;16", 24), ("F", 24)])
def test_modes_that_take_more_are_counted_for_more(mode: str, least: int) -> None:
    assert bytes_to_decode(Image.new(mode, (10, 10)), (10, 10), 100) == 100 * least


def test_who_keeps_the_error_of_a_torn_image_keeps_no_pixels(tmp_path: Path) -> None:
    path = tmp_path / "torn.png"
    Image.new("RGB", (2500, 2500)).save(path, compress_level=0)
    os.truncate(path, path.stat().st_size // 2)
    before, errors = resident_bytes(), list[DataError]()
    for _ in range(5):
        with pytest.raises(DataError, match="cannot be read") as caught:
            open_image_small(path, 8)
        errors.append(caught.value)
    assert resident_bytes() - before < 2 * 2500 * 2500 * 4


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2000, 2000), (90, 60, 30)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    path = tmp_path / "a.jpg"
    path.write_bytes(content[:-2] + content[content.rindex(b"\xff\xda") : -2] * 3000 + content[-2:])
    began_s = time.thread_time()
    with pytest.raises(DataError, match="scans, and 100 are the most; save it anew"):
        open_image(path)
    assert time.thread_time() - began_s < 0.5  # decoding takes 6 s or more
    path.write_bytes(content)
    assert open_image(path).shape == (2000, 2000, 3)
