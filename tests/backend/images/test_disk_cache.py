"""The cache of pictures on disk, and the check that a file is a picture."""

from __future__ import annotations

import gzip
import io
import os
import time
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from backend.errors import ImageError, ImageNotNowError
from backend.images.disk_cache import DiskCache, check_picture
from tests.backend.images.media_servers import bomb


def noise(image_format: str, side_px: int = 64) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, image_format)
    return file.getvalue()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_whole_picture_passes(image_format: str, tmp_path: Path) -> None:
    check_picture(written(tmp_path, noise(image_format)), 64 * 64)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_torn_picture_is_refused(image_format: str, tmp_path: Path) -> None:
    content = noise(image_format)
    with pytest.raises(ImageError, match="torn"):
        check_picture(written(tmp_path, content[: len(content) // 2]), 64 * 64)


def test_one_pixel_too_many_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"64 x 64 pixels, more than 4,095 pixels \(IMAGE_MAX_MEGAPIXELS\)"):
        check_picture(written(tmp_path, noise("PNG")), 64 * 64 - 1)


@pytest.mark.parametrize("side_px", [10_000, 60_000])  # Pillow itself warns of the one and refuses the other
def test_a_decompression_bomb_is_refused_by_its_header(side_px: int, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="more than 50,000,000 pixels"):
        check_picture(written(tmp_path, bomb(side_px, side_px)), 50_000_000)


def test_a_format_that_runs_other_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="EPS files"):
        check_picture(written(tmp_path, noise("EPS")), 64 * 64)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"plain text", "no picture"),
        (b"", "empty"),
        ("<svg/>".encode("utf-16"), "SVG"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypmp42", "video"),
        (b"\xff\n\0\0", "JPEG XL"),
        (gzip.compress(b"<svg/>", mtime=0), "archive"),
        (b"\0" * 128 + b"DICM", "DICOM"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b'{"error": "not found"}', "JSON"),
    ],
)
def test_what_is_no_picture_is_refused_and_named(content: bytes, kind: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=kind):
        check_picture(written(tmp_path, content), 1000)


PICTURE = noise("BMP", 16)  # 822 bytes
SIZE = len(PICTURE)


def put(files: DiskCache, key: str, age_s: float = 0, project: str = "7") -> Path:
    path = files.add(project, key, lambda file: file.write(PICTURE), 1000)
    used_at = time.time() - age_s
    os.utime(path, (used_at, used_at))
    return path


def test_the_least_recently_used_files_go_when_the_limit_is_exceeded(tmp_path: Path) -> None:
    files = DiskCache(tmp_path, 10 * SIZE)
    paths = [put(files, f"key{age_s}", age_s, f"{age_s % 3}") for age_s in range(5000, 6000, 100)]
    assert all(path.exists() for path in paths)
    new = put(files, "new")
    assert [path.exists() for path in paths] == [True] * 8 + [False] * 2  # 9 files are 90% of the limit
    assert new.exists()


def test_a_file_that_was_asked_for_stays(tmp_path: Path) -> None:
    files = DiskCache(tmp_path, 2 * SIZE)
    oldest, older = put(files, "oldest", 9000), put(files, "older", 8000)
    assert files.find("7", "oldest") == oldest
    put(files, "new")
    assert oldest.exists() and not older.exists()


def test_nothing_that_was_just_used_is_removed_even_above_the_limit(tmp_path: Path) -> None:
    files = DiskCache(tmp_path, SIZE)
    assert all(path.exists() for path in [put(files, f"key{index}") for index in range(5)])


def test_files_of_an_earlier_process_count(tmp_path: Path) -> None:
    old = [put(DiskCache(tmp_path, 100 * SIZE), f"key{index}", 9000) for index in range(5)]
    put(DiskCache(tmp_path, 3 * SIZE), "new")
    assert sum(path.exists() for path in old) == 1


def test_a_picture_that_is_not_here_is_not_found(tmp_path: Path) -> None:
    assert DiskCache(tmp_path, 1000).find("7", "key") is None


@pytest.mark.parametrize("project", ["../../etc", "..", ".", "", "7.171985", "a/b", "x" * 200])
def test_a_project_name_that_is_no_plain_word_stays_inside_the_folder(project: str, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    path = put(DiskCache(folder, 10_000), "key", project=project)
    assert path.parent.parent == folder and path.parent.name.startswith("hashed-")


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DiskCache(tmp_path, 1000).add("7", "key", fail, 1000)
    assert list((tmp_path / "7").iterdir()) == []


def test_a_disk_that_refuses_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    files = DiskCache(tmp_path / "cache", 1000)
    assert files.find("7", "key") is None
    with pytest.raises(ImageNotNowError, match=r"cannot be kept in .*; mount or make the folder"):
        put(files, "key")


@pytest.mark.parametrize("odd", ["empty", "a folder", "a pipe", "a link"])
def test_what_is_no_picture_in_the_place_of_one_is_not_found(odd: str, tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10**6)
    path = cache.add("7", "key", lambda file: file.write(noise("PNG")), None)
    assert cache.find("7", "key") == path
    path.unlink()
    makers = {"empty": path.touch, "a folder": path.mkdir, "a pipe": lambda: os.mkfifo(path)}
    makers.get(odd, lambda: path.symlink_to(tmp_path))()
    assert cache.find("7", "key") is None
