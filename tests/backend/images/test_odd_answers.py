"""Pictures that a browser shows, however the server sends them; and connections that need a word of the operator."""

from __future__ import annotations

import gzip
import io
import ssl
import subprocess
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from backend.errors import ImageError, LabelStudioError
from backend.images.url_guard import AllowedHosts
from backend.labelstudio.client import LabelStudioClient
from tests.backend.images.media_servers import (
    MakeStore,
    PictureServer,
    png,
    redirects,
    run_server,
    says,
    stores,
)
from wsol_core.data.images import open_image

label_studio = pytest.fixture(run_server)
other = pytest.fixture(run_server)
make_store = pytest.fixture(stores)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda content: zlib.compress(content, wbits=-zlib.MAX_WBITS)),
        ("aws-chunked", bytes),
        ("aws-chunked, gzip", gzip.compress),
    ],
)
def test_a_packed_answer_is_unpacked(
    encoding: str, packed: object, label_studio: PictureServer, make_store: MakeStore
) -> None:
    assert callable(packed)
    label_studio.answer("/data/upload/7/a.png", says(packed(png()), Content_Encoding=encoding))
    assert make_store().fetch("/data/upload/7/a.png", "7", 1).read_bytes() == png()


@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize("encoding", ["utf-8", "aws-chunked", "binary", "identity", ""])
def test_what_browsers_pass_over_in_an_answer_is_passed_over(
    encoding: str, status: int, label_studio: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/data/upload/7/a.png", says(png(), status, Content_Encoding=encoding))
    assert make_store().fetch("/data/upload/7/a.png", "7", 1).read_bytes() == png()


def test_an_unpacked_answer_counts_against_the_limit(label_studio: PictureServer, make_store: MakeStore) -> None:
    bomb = gzip.compress(bytes(5_000_000))
    label_studio.answer("/data/upload/7/a.png", says(bomb, Content_Encoding="gzip"))
    with pytest.raises(ImageError, match="more than 10,000 bytes"):
        make_store().fetch("/data/upload/7/a.png", "7", 1)


@pytest.mark.parametrize(
    ("encoding", "content", "wanted"),
    [
        ("br", b"x", "Content-Encoding br;"),
        ("gzip", png(), "is not packed so"),
        ("gzip", gzip.compress(png(), mtime=0)[:30], "breaks off"),
    ],
)
def test_an_answer_that_cannot_be_unpacked_says_how_it_is_packed(
    encoding: str, content: bytes, wanted: str, label_studio: PictureServer, make_store: MakeStore
) -> None:
    label_studio.answer("/data/upload/7/a.png", says(content, Content_Encoding=encoding))
    with pytest.raises(ImageError, match=wanted):
        make_store().fetch("/data/upload/7/a.png", "7", 1)


def test_a_jpeg_without_its_end_is_kept_and_read(label_studio: PictureServer, make_store: MakeStore) -> None:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, "JPEG")
    label_studio.answer("/data/upload/7/a.jpg", says(file.getvalue()[:-2]))
    path = make_store(max_bytes=100_000, max_pixels=100_000).fetch("/data/upload/7/a.jpg", "7", 1)
    assert open_image(path).shape == (256, 256, 3)


@pytest.mark.parametrize(
    "write", ["{host}:{port}", "http://{host}:{port}/", "{host}", "127.0.0.0/8", "[{host}]:{port}"]
)
def test_private_hosts_may_be_named_with_their_port(
    write: str, label_studio: PictureServer, other: PictureServer, make_store: MakeStore
) -> None:
    host, port = other.url.removeprefix("http://").split(":")
    other.answer("/a.png", says(png()))
    store = make_store(private_hosts=(write.format(host=host, port=port),))
    assert store.fetch(f"{other.url}/a.png", "7", 1).read_bytes() == png()


@pytest.mark.parametrize("named", ["*.example.com", ".example.com", "*.minio.example.com:9000", "s3.minio.example.com"])
def test_a_pattern_stands_for_all_hosts_below_a_private_one(named: str) -> None:
    hosts = AllowedHosts(None, (named,), lambda host, port: ["10.0.0.7"])
    assert hosts.addresses("S3.minio.example.com", 9000) == ["10.0.0.7"]
    with pytest.raises(ImageError, match="no public address"):
        hosts.addresses("minio-example.com", 9000)


def test_another_port_of_a_private_host_stays_refused(other: PictureServer, make_store: MakeStore) -> None:
    with pytest.raises(ImageError, match="no public address"):
        make_store(private_hosts=("127.0.0.1:9",)).fetch(f"{other.url}/a.png", "7", 1)


def test_a_label_studio_that_redirects_says_where_to(label_studio: PictureServer) -> None:
    label_studio.answer("/api/current-user/whoami", redirects("https://labels.example/ls/api/current-user/whoami"))
    client = LabelStudioClient(label_studio.url, "0123456789abcdef", waits_s=())
    with pytest.raises(LabelStudioError, match=r"redirects to https://labels\.example/ls; set LABEL_STUDIO_URL"):
        client.whoami()
    client.close()


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An https server of an authority that nobody knows; its address."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_certificate_of_an_own_authority_is_named_with_what_to_set(self_signed: str, make_store: MakeStore) -> None:
    client = LabelStudioClient(self_signed, "0123456789abcdef", waits_s=())
    with pytest.raises(LabelStudioError, match=r"certificate.*SSL_CERT_FILE"):
        client.whoami()
    client.close()
    with pytest.raises(ImageError, match=r"certificate.*SSL_CERT_FILE"):
        make_store(private_hosts=("127.0.0.1",)).fetch(f"{self_signed}/a.png", "7", 1)
