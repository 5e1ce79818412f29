"""Not Label Studio: a small server that answers what the jobs ask of it. The real one is tested in label_studio/."""

from __future__ import annotations

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.local_http import send

PROJECT = "7"
CONFIG = """<View><Image name="image" value="$image"/>
<Choices name="class" toName="image"><Choice value="ladybird"/><Choice value="fish"/></Choices>
<RectangleLabels name="box" toName="image"><Label value="ladybird"/><Label value="fish"/></RectangleLabels></View>"""

EPOCH = "1970-01-01T00:00:00.000000Z"  # when tasks that say nothing of it were changed last
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
        self.project: Json = {"id": int(PROJECT), "model_version": "Boxstrap", "sampling": "Sequential sampling"}
        self.down = False
        self.asked: Counter[str] = Counter()
        self.url = ""

    def task(self, number: int) -> Json:
        return next(task for task in self.tasks if task["id"] == number)

    def predictions(self, version: str) -> Counter[int]:
        """Task -> how many predictions of the version it has."""
        return Counter(
            task["id"] for task in self.tasks for found in task["predictions"] if found["model_version"] == version
        )

    def store(self, task: int, prediction: Json) -> int:
        """The number of a prediction that is stored as an import does: without its cluster."""
        number = 1 + max((each["id"] for each in self._stored()), default=0)
        self.task(task)["predictions"].append({**prediction, "id": number, "cluster": None})
        return number

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        address = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if self.down:
            handler.close_connection = True
            return
        self.asked[address.path] += 1
        if handler.headers.get("Authorization") != f"Token {self.token}":
            send(handler, 401, b'{"detail": "no token"}')
        elif address.path in self.files:
            file = self.files[address.path]
            send(handler, 200, file.read_bytes()) if file.is_file() else send(handler, 404, b"")
        elif address.path.startswith("/api/predictions/"):
            self._change(handler, int(address.path.split("/")[3]), body)
        elif (values := self._values(address.path, parse_qs(address.query), body)) is not None:
            send(handler, 200, json.dumps(values).encode())
        else:
            send(handler, 404, b'{"detail": "not here"}')

    def _values(self, path: str, query: dict[str, list[str]], body: bytes) -> Json | list[Json] | None:
        """What the API answers; None of what is not here."""
        if path == f"/api/projects/{PROJECT}/":
            self.project |= json.loads(body or b"{}")
            return {"task_number": len(self.tasks), **self.project, "label_config": self.config}
        if path == f"/api/projects/{PROJECT}/model-versions":
            return Counter(each["model_version"] for each in self._stored())
        if path == f"/api/projects/{PROJECT}/import/predictions":
            predictions = json.loads(body)
            for prediction in predictions:
                self.store(prediction["task"], prediction)
            return {"created": len(predictions)}
        if path == "/api/tasks/":
            return {"tasks": page_of(self.tasks, query), "total": len(found_by(self.tasks, query))}
        if path == "/api/ml":
            return [{"title": "Boxstrap", "model_version": f"boxstrap-{PROJECT}-untrained"}]
        return None

    def _change(self, handler: BaseHTTPRequestHandler, number: int, body: bytes) -> None:
        """Deletes a prediction, or writes over parts of it."""
        for predictions in (task["predictions"] for task in self.tasks):
            if (found := next((each for each in predictions if each["id"] == number), None)) is not None:
                if handler.command == "DELETE":
                    predictions.remove(found)
                else:
                    found |= json.loads(body)
                send(handler, 200, b"{}")
                return
        send(handler, 404, b'{"detail": "No Prediction matches the given query."}')

    def _stored(self) -> list[Json]:
        return [prediction for task in self.tasks for prediction in task["predictions"]]


def found_by(tasks: list[Json], query: dict[str, list[str]]) -> list[Json]:
    """What the data manager finds by the filters of a query."""
    for each in json.loads(query["query"][0])["filters"]["items"]:
        assert (each["operator"], each["type"]) in {
            ("greater", "Number"),
            ("less_or_equal", "Number"),
            ("greater", "Datetime"),
        }
        column, above = each["filter"].removeprefix("filter:tasks:"), each["operator"] == "greater"
        tasks = [task for task in tasks if (task.get(column, EPOCH) > each["value"]) == above]
    return tasks


def page_of(tasks: list[Json], query: dict[str, list[str]]) -> list[Json]:
    """What it answers to a query with one column to order by."""
    [order] = json.loads(query["query"][0])["ordering"]
    column = order.lstrip("-").removeprefix("tasks:")
    tasks = found_by(tasks, query)
    ordered = sorted(tasks, key=lambda task: task.get(column, EPOCH), reverse=order.startswith("-"))
    return [{"updated_at": EPOCH, **task} for task in ordered[: int(query["page_size"][0])]]


def choice(label: str) -> Json:
    """An annotation that names the picture's class."""
    result = {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
    return {"id": 1, "was_cancelled": False, "updated_at": "2026-01-01T00:00:00Z", "result": [result]}


def drawn_box(label: str) -> Json:
    """An annotation with a region that a person drew."""
    value = {"x": 10, "y": 10, "width": 30, "height": 30, "rotation": 0, "rectanglelabels": [label]}
    size = {"original_width": 100, "original_height": 100, "image_rotation": 0}
    result = {"id": "r", "from_name": "box", "to_name": "image", "type": "rectanglelabels", **size, "value": value}
    return {"id": 2, "was_cancelled": False, "updated_at": "2026-01-02T00:00:00Z", "result": [result]}


def _task(number: int, label: str, path: str) -> Json:
    return {"id": number, "data": {"image": path}, "annotations": [choice(label)], "predictions": []}
