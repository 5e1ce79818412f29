"""A stand-in for Label Studio that gives the answers of a healthy 1.23, and those of each failure that a test names.

The real one takes half a minute to start and cannot be told to fail in most of these ways.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from tests.local_http import answering, send

BACKEND_URL = "http://boxstrap.test:9090"
CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<Choices name="class" toName="image"><Choice value="fish"/><Choice value="bird"/></Choices>'
    '<RectangleLabels name="box" toName="image"><Label value="fish"/><Label value="bird"/></RectangleLabels></View>'
)
PROJECT = {"id": 7, "title": "Animals", "label_config": CONFIG, "model_version": "Boxstrap"}
BACKEND = {
    "id": 1,
    "state": "CO",
    "readable_state": "Connected",
    "url": BACKEND_URL,
    "error_message": None,
    "title": "Boxstrap",
    "model_version": "boxstrap-7-untrained",
}
WEBHOOK = {
    "id": 1,
    "url": f"{BACKEND_URL}/webhook",
    "send_payload": True,
    "send_for_all_actions": True,
    "headers": {},
    "is_active": True,
    "actions": [],
}


def labelled(number: int, name: str) -> dict[str, Any]:
    """A task with a class that a person chose."""
    choice = {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [name]}}
    annotation = {"id": number, "result": [choice], "was_cancelled": False}
    return {"id": number, "project": 7, "data": {"image": "/data/upload/7/a.png"}, "annotations": [annotation]}


def refusal(status: int, detail: str) -> tuple[int, Any]:
    """As Label Studio says no."""
    return status, {"status_code": status, "version": "1.23.2", "detail": detail, "exc_info": None}


@dataclass
class FakeLabelStudio:
    """`answers` by method and path; `when_patched` is called for each change of the project, as a webhook would be."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    patches: list[dict[str, Any]] = field(default_factory=list)
    when_patched: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.answers = {
            "GET /api/version": (200, {"release": "1.23.2"}),
            "GET /api/current-user/whoami": (200, {"id": 1, "email": "a@b.co"}),
            "GET /api/projects/7/": (200, PROJECT),
            "PATCH /api/projects/7/": (200, PROJECT),
            "GET /api/ml": (200, [BACKEND]),
            "GET /api/webhooks/": (200, [WEBHOOK]),
            "GET /api/tasks/": (200, {"tasks": [labelled(1, "fish")], "total": 1}),
            **self.answers,
        }

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        sent = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if handler.command == "PATCH":
            self.patches.append(json.loads(sent))
            self.when_patched()
        if path.startswith(("/data/upload/", "/storage-data/")) and path not in self.answers:
            file = io.BytesIO()
            Image.new("RGB", (4, 3)).save(file, "PNG")
            send(handler, 200, file.getvalue())
            return
        status, values = self.answers.get(f"{handler.command} {path}", refusal(404, "Not found."))
        send(handler, status, values if isinstance(values, bytes) else json.dumps(values).encode())


@contextmanager
def fake_label_studio() -> Iterator[FakeLabelStudio]:
    """Answers on this machine as long as the block lasts."""
    fake = FakeLabelStudio()
    with answering(fake.handle) as fake.url:
        yield fake
