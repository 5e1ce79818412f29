"""Not Label Studio: a small server that answers what the jobs ask of it. The real one is tested in label_studio/."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PROJECT = "7"
CONFIG = """<View><Image name="image" value="$image"/>
<Choices name="class" toName="image"><Choice value="ladybird"/><Choice value="fish"/></Choices>
<RectangleLabels name="box" toName="image"><Label value="ladybird"/><Label value="fish"/></RectangleLabels></View>"""

Json = dict[str, Any]


class FakeLabelStudio:
    """One project whose tasks can be changed between requests. `down` cuts every connection without an answer."""

    token = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, pictures: Path) -> None:
        """Args: pictures: a folder with annotations.jsonl; those to train on become tasks, each with its class."""
        lines = [json.loads(line) for line in (pictures / "annotations.jsonl").read_text().splitlines()]
        drawn = [line for line in lines if line["split"] == "train"]
        self.files = {
            f"/data/upload/{PROJECT}/{number}.jpg": pictures / line["file"] for number, line in enumerate(drawn)
        }
        self.tasks = [
            _task(number + 1, line["label"], path)
            for number, (line, path) in enumerate(zip(drawn, self.files, strict=True))
        ]
        self.config = CONFIG
        self.down = False
        self.asked: Counter[str] = Counter()
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        studio = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                studio._answer(self)

            def do_POST(self) -> None:
                studio._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def task(self, number: int) -> Json:
        return next(task for task in self.tasks if task["id"] == number)

    def predictions(self, version: str) -> Counter[int]:
        """Task -> how many predictions of the version it has."""
        return Counter(
            task["id"] for task in self.tasks for found in task["predictions"] if found["model_version"] == version
        )

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        address = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if self.down:
            handler.close_connection = True
            return
        self.asked[address.path] += 1
        if handler.headers.get("Authorization") != f"Token {self.token}":
            _send(handler, 401, b'{"detail": "no token"}')
        elif address.path in self.files:
            file = self.files[address.path]
            _send(handler, 200, file.read_bytes()) if file.is_file() else _send(handler, 404, b"")
        elif address.path == f"/api/projects/{PROJECT}/":
            _send_json(handler, {"id": int(PROJECT), "label_config": self.config})
        elif address.path == "/api/tasks/":
            _send_json(handler, {"tasks": self._page(parse_qs(address.query))})
        elif address.path == f"/api/projects/{PROJECT}/import/predictions":
            predictions = json.loads(body)
            for prediction in predictions:
                self.task(prediction["task"])["predictions"].append(prediction)
            _send_json(handler, {"created": len(predictions)})
        else:
            _send(handler, 404, b'{"detail": "not here"}')

    def _page(self, query: dict[str, list[str]]) -> list[Json]:
        above = json.loads(query["query"][0])["filters"]["items"][0]["value"]
        return [task for task in self.tasks if task["id"] > above][: int(query["page_size"][0])]


def choice(label: str) -> Json:
    """An annotation that names the picture's class."""
    result = {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
    return {"id": 1, "was_cancelled": False, "updated_at": "2026-01-01T00:00:00Z", "result": [result]}


def drawn_box(label: str) -> Json:
    """An annotation with a region that a person drew."""
    value = {"x": 10, "y": 10, "width": 30, "height": 30, "rotation": 0, "rectanglelabels": [label]}
    result = {"id": "r", "from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": value}
    return {"id": 2, "was_cancelled": False, "updated_at": "2026-01-02T00:00:00Z", "result": [result]}


def _task(number: int, label: str, path: str) -> Json:
    return {"id": number, "data": {"image": path}, "annotations": [choice(label)], "predictions": []}


def _send(handler: BaseHTTPRequestHandler, status: int, content: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def _send_json(handler: BaseHTTPRequestHandler, values: Json) -> None:
    _send(handler, 200, json.dumps(values).encode())
