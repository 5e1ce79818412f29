"""What becomes of the answers: refusals, failures that pass, limits, data: addresses and the cache."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from backend.errors import ImageError, ImageNotNowError, UnreachableError
from backend.images.image_store import ImageRules, ImageStore
from tests.backend.images.media_servers import (
    Access,
    Answer,
    MakeStore,
    PictureServer,
    data_uri,
    files,
    png,
    run_server,
    says,
    stores,
)

label_studio = pytest.fixture(run_server)
make_store = pytest.fixture(stores)


@pytest.mark.parametrize(
    ("status", "step"), [(401, "LABEL_STUDIO_API_KEY"), (403, "who may"), (404, "put it back"), (410, "put it back")]
)
def test_a_refusal_names_the_status_and_the_next_step_and_is_not_repeated(
    status: int, step: str, label_studio: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/data/upload/7/a.png", says(status=status))
    with pytest.raises(ImageError, match=f"Picture /data/upload/7/a.png: .*answered {status}; .*{step}") as caught:
        make_store().fetch("/data/upload/7/a.png", "7", 1)
    assert not isinstance(caught.value, ImageNotNowError)
    assert len(label_studio.requests) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_temporary_failure_is_tried_again(status: int, label_studio: PictureServer, make_store: MakeStore) -> None:
    label_studio.answer("/data/upload/7/a.png", says(status=status), says(png()))
    pauses: list[float] = []
    assert make_store(pauses=pauses, timeout_s=10).fetch("/data/upload/7/a.png", "7", 1).read_bytes() == png()
    assert pauses == [0.3]


def test_three_failures_are_enough(label_studio: PictureServer, make_store: MakeStore) -> None:
    label_studio.answer("/data/upload/7/a.png", says(status=502))
    pauses: list[float] = []
    with pytest.raises(ImageNotNowError, match="answered 502; try again later"):
        make_store(pauses=pauses).fetch("/data/upload/7/a.png", "7", 1)
    assert len(label_studio.requests) == 3 and pauses == [0.3, 1.0]


def test_a_refused_connection_may_get_better(make_store: MakeStore) -> None:
    with pytest.raises(ImageNotNowError, match="connection failed"):
        make_store(private_hosts=("127.0.0.1",)).fetch("http://127.0.0.1:1/a.png", "7", 1)


def test_an_unreachable_token_may_get_better(tmp_path: Path, label_studio: PictureServer) -> None:
    class Locked(Access):
        def authorization(self) -> str:
            raise UnreachableError("Label Studio does not answer.")

    store = ImageStore(tmp_path, ImageRules(1000, 1000, 1.0), 1000, Locked(label_studio.url))
    with pytest.raises(ImageNotNowError, match=r"Label Studio does not answer\.$"):
        store.fetch("/data/upload/7/a.png", "7", 1)


def trickles(before: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(before)
        for _ in range(100):
            time.sleep(0.05)
            handler.wfile.write(b"x")

    return answer


@pytest.mark.slow
@pytest.mark.parametrize("before", [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_a_body_or_header_that_trickles_in_times_out_as_a_whole(
    before: bytes, label_studio: PictureServer, make_store: MakeStore, tmp_path: Path
) -> None:
    label_studio.answer("/data/upload/7/a.png", trickles(before))
    started = time.monotonic()
    with pytest.raises(ImageNotNowError, match=r"within 0\.2 s \(IMAGE_TIMEOUT\)"):
        make_store(timeout_s=0.2).fetch("/data/upload/7/a.png", "7", 1)
    assert time.monotonic() - started < 2
    assert files(tmp_path) == []


def test_a_declared_size_above_the_limit_is_refused_before_the_body(
    label_studio: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/data/upload/7/a.png", says(b"", Content_Length="10001"))
    with pytest.raises(ImageError, match=r"more than 10,000 bytes \(IMAGE_MAX_MB\)"):
        make_store().fetch("/data/upload/7/a.png", "7", 1)


def test_a_body_without_declared_size_is_cut_off_at_the_limit(
    label_studio: PictureServer, make_store: MakeStore, tmp_path: Path
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 20_000)
        handler.close_connection = True

    label_studio.answer("/data/upload/7/a.png", answer)
    with pytest.raises(ImageError, match="more than 10,000 bytes"):
        make_store().fetch("/data/upload/7/a.png", "7", 1)
    assert files(tmp_path) == []


def test_a_body_shorter_than_declared_is_tried_again(label_studio: PictureServer, make_store: MakeStore) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        says(png(), Content_Length="5000")(handler)
        handler.close_connection = True

    label_studio.answer("/data/upload/7/a.png", answer, says(png()))
    assert make_store().fetch("/data/upload/7/a.png", "7", 1).read_bytes() == png()


def test_a_body_longer_than_declared_is_a_torn_picture(label_studio: PictureServer, make_store: MakeStore) -> None:
    label_studio.answer("/data/upload/7/a.png", says(png(), Content_Length="40"))
    with pytest.raises(ImageError, match="torn"):
        make_store().fetch("/data/upload/7/a.png", "7", 1)


def test_a_login_page_is_no_picture(label_studio: PictureServer, make_store: MakeStore, tmp_path: Path) -> None:
    label_studio.answer("/data/upload/7/a.png", says(b"\n<!doctype html><title>Log in</title>"))
    with pytest.raises(ImageError, match="web page"):
        make_store().fetch("/data/upload/7/a.png", "7", 1)
    assert files(tmp_path) == []


def test_a_data_uri_is_decoded(make_store: MakeStore) -> None:
    store = make_store()
    assert store.fetch(data_uri(png()), "7", None).read_bytes() == png()
    assert store.fetch(data_uri(png()).replace("+", "%2B").replace("=", "%3D"), "7", None).read_bytes() == png()
    for kind in ("", "image/png;charset=utf-8", "application/octet-stream"):
        uri = data_uri(png()).replace("image/png", kind).rstrip("=")
        assert store.fetch(uri, "7", None).read_bytes() == png()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("data:image/png;base64,AAA", r"Picture data:image/png,\.\.\. \(25 characters\): .*torn"),
        ("data:image/png;base64,ÄÖÜ", "torn"),
        ("data:image/png,AAAA", "has to begin"),
        ("data:text/html;base64,AAAA", "has to begin"),
        ("data:" + "A" * 100, "has to begin"),
        (data_uri(b"x" * 10_001), "more than 10,000 bytes"),
        (data_uri(b"x" * 100_000), "more than 10,000 bytes"),
        (data_uri(b"x"), "no picture"),
    ],
)
def test_a_data_uri_without_a_picture_is_refused_and_not_shown(uri: str, said: str, make_store: MakeStore) -> None:
    with pytest.raises(ImageError, match=said) as caught:
        make_store().fetch(uri, "7", None)
    assert "AAA" not in str(caught.value)


def test_a_long_reference_is_shortened_to_one_line(make_store: MakeStore) -> None:
    with pytest.raises(ImageError) as caught:
        make_store().fetch("/nowhere/\n" + "a" * 500 + "/end.png", "7", 1)
    assert str(caught.value).startswith("Picture /nowhere/?aaa") and "a/end.png: " in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_picture_is_fetched_once_for_each_project(label_studio: PictureServer, make_store: MakeStore) -> None:
    label_studio.answer("/data/upload/7/a.png", says(png()))
    store = make_store()
    first, again, elsewhere = (store.fetch("/data/upload/7/a.png", project, 1) for project in ("7", "7", "8"))
    assert first == again != elsewhere
    assert first.parent.name == "7" and len(first.name) == 64
    assert len(label_studio.requests) == 2


def test_two_threads_may_fetch_the_same_picture(
    label_studio: PictureServer, make_store: MakeStore, tmp_path: Path
) -> None:
    both = threading.Barrier(2, timeout=5)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        both.wait()  # neither is finished before the other has begun
        says(png())(handler)

    label_studio.answer("/data/upload/7/a.png", answer)
    store = make_store(timeout_s=5)
    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(lambda task: store.fetch("/data/upload/7/a.png", "7", task), (1, 2)))
    assert paths[0] == paths[1] and paths[0].read_bytes() == png()
    assert files(tmp_path) == [paths[0]]
