"""What the tests of fetching pictures share: HTTP servers on this machine, and stores that fetch from them."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from PIL import Image

from backend.images.image_store import ImageRules, ImageStore
from tests.local_http import answering

TOKEN = "Token 0123456789abcdef"
Answer = Callable[[BaseHTTPRequestHandler], None]


def png(width: int = 4, height: int = 3) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 60)).save(file, "PNG")
    return file.getvalue()


def data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def says(content: bytes = b"", status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def redirects(location: str) -> Answer:
    return says(status=302, Location=location)


@dataclass
class PictureServer:
    """Answers by path; a path without an answer is a 404. Several answers of a path come one after another."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path with query, Authorization
    url: str = ""

    def answer(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    @property
    def tokens(self) -> list[str | None]:
        return [token for _, token in self.requests]

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.path, handler.headers["Authorization"]))
        waiting = self.answers.get(handler.path) or self.answers.get(handler.path.split("?")[0]) or [says(status=404)]
        try:
            (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)
        except OSError:
            handler.close_connection = True  # the client hung up, as it should in some tests


def run_server() -> Iterator[PictureServer]:
    pictures = PictureServer()
    with answering(pictures.handle, protocol="HTTP/1.1") as pictures.url:
        yield pictures


@dataclass
class Access:
    base_url: str

    def authorization(self) -> str:
        return TOKEN


MakeStore = Callable[..., ImageStore]


def stores(tmp_path: Path, label_studio: PictureServer) -> MakeStore:
    """A store with Label Studio, and a second for every attempt; `pauses` gets what it would have slept."""

    def make(
        max_bytes: int = 10_000,
        max_pixels: int = 10_000,
        timeout_s: float = 1.0,
        private_hosts: tuple[str, ...] = (),
        prefix: str = "",
        pauses: list[float] | None = None,
        hostname_of: Callable[[str], str] = lambda _: "",
    ) -> ImageStore:
        rules = ImageRules(max_bytes, max_pixels, timeout_s, private_hosts)
        sleep = ([] if pauses is None else pauses).append
        access = Access(label_studio.url + prefix)
        return ImageStore(tmp_path / "cache", rules, 1_000_000, access, hostname_of=hostname_of, sleep=sleep)

    return make


def files(store_folder: Path) -> list[Path]:
    return [path for path in store_folder.rglob("*") if path.is_file()]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that declares a giant size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
