"""An HTTP server on this machine, in a thread, for as long as a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def answering(
    answer: Callable[[BaseHTTPRequestHandler], None], protocol: str = "HTTP/1.0"
) -> AbstractContextManager[str]:
    """Leaves every GET, POST, PATCH and DELETE to `answer`; its address. With HTTP/1.1 connections are kept."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = protocol

        def do_GET(self) -> None:
            answer(self)

        do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return _serving(Handler)


def web_server(folder: Path) -> AbstractContextManager[str]:
    """Files of a folder; its address."""
    return _serving(partial(_Files, directory=str(folder)))


def send(handler: BaseHTTPRequestHandler, status: int, content: bytes = b"") -> None:
    """A whole answer."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
