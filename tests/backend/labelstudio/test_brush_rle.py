from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from label_studio_sdk.converter.brush import decode_rle, encode_rle, mask2rle

from backend.errors import RequestError
from backend.labelstudio.brush_rle import decode_mask, encode_mask, encoded_size
from wsol_core.records import BoolMask

masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))
# 8 x 2 pixels of which (2, 0), (3, 0) and (4, 0) are set, as the SDK writes them
SMALL_RLE = [0, 0, 0, 64, 57, 27, 252, 224, 22, 255, 241, 88, 0]
SMALL_MASK = np.array([[0, 0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]], np.bool_)


def blob(width: int, height: int) -> BoolMask:
    y, x = np.mgrid[:height, :width]
    return np.asarray(((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) < 0.1, np.bool_)


def sdk_encode(mask: BoolMask) -> list[int]:
    return [int(byte) for byte in mask2rle(mask.astype(np.uint8) * 255)]


def bits(*fields: tuple[int, int]) -> list[int]:
    """Bytes of (value, width) fields, filled up with zeros."""
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def header(values: int) -> list[tuple[int, int]]:
    return [(values, 32), (7, 5), (2, 4), (3, 4), (7, 4), (15, 4)]


def test_a_known_mask_is_written_and_read() -> None:
    assert encode_mask(SMALL_MASK) == SMALL_RLE
    np.testing.assert_array_equal(decode_mask(SMALL_RLE, (8, 2)), SMALL_MASK)


@given(masks)
@example(np.zeros((1, 1), np.bool_))
@example(np.ones((1, 1), np.bool_))
@example(np.ones((33, 17), np.bool_))
@example(np.zeros((7, 9), np.bool_))
def test_masks_are_the_same_bytes_as_the_sdks_and_come_back(mask: BoolMask) -> None:
    rle = encode_mask(mask)
    height, width = mask.shape
    assert rle == sdk_encode(mask)
    assert all(type(byte) is int for byte in rle)
    assert encoded_size(mask) == len(rle)
    np.testing.assert_array_equal(decode_mask(rle, (width, height)), mask)
    np.testing.assert_array_equal(decode_rle(rle).reshape(height, width, 4)[..., 3] == 255, mask)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (127, 131), (300, 400), (1, 16384), (16385, 1)])
def test_runs_longer_than_a_record_holds_are_the_same_bytes_as_the_sdks(height: int, width: int) -> None:
    for mask in (np.ones((height, width), np.bool_), np.zeros((height, width), np.bool_), blob(width, height)):
        assert encode_mask(mask) == sdk_encode(mask)
        np.testing.assert_array_equal(decode_mask(encode_mask(mask), (width, height)), mask)


def test_masks_that_are_no_block_of_memory_are_written_too() -> None:
    mask = blob(31, 21)
    assert encode_mask(mask.T) == sdk_encode(np.ascontiguousarray(mask.T))
    assert encode_mask(mask[::2, ::-1]) == sdk_encode(np.ascontiguousarray(mask[::2, ::-1]))


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))))
def test_colours_and_soft_edges_are_cut_at_half_of_alpha(picture: Any) -> None:
    height, width = picture.shape[:2]
    rle = [int(byte) for byte in encode_rle(picture.reshape(-1))]
    np.testing.assert_array_equal(decode_mask(rle, (width, height)), picture[..., 3] >= 128)


def test_runs_of_single_values_are_read_as_the_editor_writes_them() -> None:
    # A run of five values one by one, then three of one value: two pixels, the first opaque.
    rle = bits(*header(8), (0, 1), (0, 2), (4, 3), *((v, 8) for v in (1, 2, 3, 255, 9)), (1, 1), (0, 2), (2, 3), (7, 8))
    assert decode_mask(rle, (2, 1)).tolist() == [[True, False]]


def test_a_last_run_beyond_the_picture_is_cut() -> None:
    assert decode_mask(bits(*header(4), (1, 1), (0, 2), (7, 3), (255, 8)), (1, 1)).tolist() == [[True]]
    too_many = bits(*header(4), (0, 1), (0, 2), (7, 3), *[(200, 8)] * 8)
    assert decode_mask(too_many, (1, 1)).tolist() == [[True]]


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ([], "ends after 0 bytes"),
        ([0, 0, 0, 64, 57], "ends after 5 bytes"),
        (SMALL_RLE[:-4], "ends after 9 bytes"),
        ([0, 0, 0, 60, *SMALL_RLE[4:]], "60 values, not the 4 x 8 x 2"),
        (bits((64, 32), (3, 5), (2, 4), (3, 4), (7, 4), (15, 4)), "values of 4 bits"),
        ([*SMALL_RLE[:-1], 256], "from 0 to 255"),
        ([*SMALL_RLE[:-1], -1], "from 0 to 255"),
        ([0.5], "from 0 to 255"),
        (["0"], "from 0 to 255"),
        ("0000", "from 0 to 255"),
        (None, "from 0 to 255"),
        (5, "from 0 to 255"),
    ],
)
def test_a_malformed_mask_says_what_is_wrong(rle: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        decode_mask(rle, (8, 2))


@pytest.mark.parametrize("size_wh", [(0, 5), (5, 0), (-1, -1), (20_000, 20_000)])
def test_no_memory_is_taken_for_a_size_that_no_picture_has(size_wh: tuple[int, int]) -> None:
    with pytest.raises(RequestError, match="cannot have"):
        decode_mask(SMALL_RLE, size_wh)


@given(st.lists(st.integers(0, 255), max_size=60))
def test_any_bytes_give_a_mask_or_a_reason(tail: list[int]) -> None:
    try:
        mask = decode_mask([*SMALL_RLE[:6], *tail], (8, 2))
    except RequestError:
        return
    assert mask.shape == (2, 8)


def test_a_mask_of_half_a_million_pixels_takes_milliseconds() -> None:
    mask = blob(800, 600)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        encode_mask(mask)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02  # 0.0002 s on an idle core
