"""Not Label Studio: one project in memory, and people who work in it as they do in its editor.

What they do changes tasks as Label Studio 1.23 does (tests/label_studio/test_corrections_are_read.py looks at the real
one), and gives the events that it would send.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.backend.support.fake_project import FakeLabelStudio, found_by, page_of
from tests.local_http import send

Json = dict[str, Any]
SIZE = {"original_width": 200, "original_height": 100, "image_rotation": 0}


def config_of(*classes: str) -> str:
    choices = "".join(f'<Choice value="{name}"/>' for name in classes)
    labels = "".join(f'<Label value="{name}"/>' for name in classes)
    return (
        f'<View><Image name="image" value="$image"/><Choices name="class" toName="image">{choices}</Choices>'
        f'<RectangleLabels name="box" toName="image">{labels}</RectangleLabels></View>'
    )


def box(name: str, label: str, x: float, **more: Any) -> Json:
    value = {"x": x, "y": 10, "width": 20, "height": 30, "rotation": 0, "rectanglelabels": [label]}
    where = {"id": name, "from_name": "box", "to_name": "image", "type": "rectanglelabels"}
    return {**where, **SIZE, **more, "value": value}


def chosen(label: str) -> Json:
    return {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [label]}}


class FakeProject:
    """Each act takes a task, and returns the events that Label Studio sends of it; no task or annotation, no event."""

    token = FakeLabelStudio.token

    def __init__(self, number: int, tasks: int = 0) -> None:
        self.number, self.tasks, self.config = number, list[Json](), config_of("crab", "fish")
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.asked: list[Json] = []  # queries of the task list
        self.read: Counter[int] = Counter()  # task -> how often it was in an answer with annotations
        self.url, self.down = "", False
        self._numbers = 0
        for _ in range(tasks):
            self.import_task()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        address = urlsplit(handler.path)
        if self.down:
            handler.close_connection = True
        elif address.path == f"/api/projects/{self.number}/":
            project = {"id": self.number, "label_config": self.config, "task_number": len(self.tasks)}
            send(handler, 200, json.dumps(project).encode())
        elif address.path == "/api/tasks/":
            query = parse_qs(address.query)
            found = page_of(self.tasks, query)
            self.asked.append(json.loads(query["query"][0]))
            self.read.update(task["id"] for task in found if query.get("fields") == ["all"])
            send(handler, 200, json.dumps({"tasks": found, "total": len(found_by(self.tasks, query))}).encode())
        else:
            send(handler, 404, b'{"detail": "not here"}')

    def task(self, number: int) -> Json:
        return next(task for task in self.tasks if task["id"] == number)

    def import_task(self) -> list[Json]:
        """A new task with a prediction of a crab and a fish."""
        number = self._next()
        regions = [box(f"{number}-crab", "crab", 10, score=0.9), box(f"{number}-fish", "fish", 60, score=0.4)]
        prediction = {"id": self._next(), "model_version": "m1", "score": 0.65, "result": regions}
        data = {"image": f"/{number}.jpg"}
        self.tasks.append({"id": number, "data": data, "annotations": [], "predictions": [prediction]})
        self._touch(self.tasks[-1])
        return [self._event("TASKS_CREATED", tasks=[{"id": number}])]

    def choose(self, task: Json, label: str) -> list[Json]:
        """A class, and nothing else."""
        return self._create(task, [chosen(label)], None)

    def skip(self, task: Json) -> list[Json]:
        return self._create(task, [], None, was_cancelled=True)

    def submit(self, task: Json, how: str) -> list[Json]:
        """The prediction, changed in one way."""
        prediction = task["predictions"][0]
        regions = [{**each, "origin": "prediction"} for each in copy.deepcopy(prediction["result"])]
        return self._create(task, _changed(regions, how), prediction["id"])

    def revise(self, task: Json, how: str) -> list[Json]:
        """The newest annotation, changed in one way."""
        if not task["annotations"]:
            return []
        annotation = task["annotations"][-1]
        self._touch(annotation)
        annotation["result"] = _changed(annotation["result"], how)
        self._touch(task)
        return [self._event("ANNOTATION_UPDATED", annotation=annotation)]

    def praise(self, task: Json) -> list[Json]:
        """Makes the oldest annotation ground truth, or no longer."""
        if not task["annotations"]:
            return []
        annotation = task["annotations"][0]
        annotation["ground_truth"] = not annotation["ground_truth"]
        self._touch(task)
        return [self._event("ANNOTATION_UPDATED", annotation=annotation)]

    def take_back(self, task: Json) -> list[Json]:
        """Deletes the newest annotation."""
        if not task["annotations"]:
            return []
        gone = task["annotations"].pop()
        self._touch(task)
        return [self._event("ANNOTATIONS_DELETED", annotations=[{"id": gone["id"]}])]

    def delete_task(self, task: Json) -> list[Json]:
        self.tasks.remove(task)
        return [self._event("TASKS_DELETED", tasks=[{"id": task["id"]}])]

    def configure(self, *classes: str) -> list[Json]:
        """Another labeling config, which changes no task."""
        self.config = config_of(*classes)
        return [self._event("PROJECT_UPDATED")]

    def _create(self, task: Json, result: list[Json], parent: int | None, was_cancelled: bool = False) -> list[Json]:
        annotation = {
            "id": self._next(),
            "result": result,
            "was_cancelled": was_cancelled,
            "ground_truth": False,
            "completed_by": 1,
            "lead_time": 3.5,
            "parent_prediction": parent,
        }
        self._touch(annotation)
        task["annotations"].append(annotation)
        self._touch(task)
        return [self._event("ANNOTATION_CREATED", annotation=annotation, task=task)]

    def _touch(self, what: Json) -> None:
        self.now += timedelta(microseconds=7)
        what["updated_at"] = self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _event(self, action: str, **more: Any) -> Json:
        project = {"id": self.number, "title": "People", "label_config": self.config}
        return copy.deepcopy({"action": action, "project": project, **more})


def _changed(regions: list[Json], how: str) -> list[Json]:
    """Args: how: leave, move, relabel, remove, clear or add."""
    regions = copy.deepcopy(regions)
    boxes = [each for each in regions if each["type"] == "rectanglelabels"]
    if how == "clear":
        return [each for each in regions if each["type"] == "choices"]
    if how == "add":
        return [*regions, box(f"added-{len(regions)}", "fish", 5, origin="manual")]
    if how == "remove":
        return [each for each in regions if each is not (boxes or [None])[0]]
    if how != "leave" and boxes:
        boxes[0]["origin"] = "prediction-changed"
        boxes[0]["value"] |= {"x": boxes[0]["value"]["x"] + 5} if how == "move" else {"rectanglelabels": ["fish"]}
    return regions
