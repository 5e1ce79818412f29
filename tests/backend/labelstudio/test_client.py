"""How tasks are asked for, and predictions stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from backend.errors import LabelStudioError
from backend.labelstudio.client import LabelStudioClient
from tests.backend.support.fake_project import Json, found_by, page_of
from tests.local_http import answering, send

PAGE = 10


class Asked:
    """A Label Studio with one project. `counted`: how many tasks the filters of each request let through.

    `posted`: where something was sent to, and what.
    """

    def __init__(self) -> None:
        self.tasks: list[Json] = []
        self.counted: list[int] = []
        self.posted: list[tuple[str, Any]] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "POST":
            sent = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
            self.posted.append((urlsplit(handler.path).path, sent))
            send(handler, 201, json.dumps({"created": len(sent)}).encode())
            return
        query = parse_qs(urlsplit(handler.path).query)
        total = len(found_by(self.tasks, query))
        self.counted.append(total)
        send(handler, 200, json.dumps({"tasks": page_of(self.tasks, query), "total": total}).encode())


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def client(asked: Asked) -> Iterator[LabelStudioClient]:
    with answering(asked.answer) as url, closing(LabelStudioClient(url, "0" * 40)) as client:
        yield client


@pytest.mark.parametrize(
    "numbers",
    [
        range(1, 1001),
        range(5, 5000, 5),
        [*range(1, 301), *range(90_001, 90_302)],
        [number for number in range(1, 3000) if number % 7 in (1, 2)],
        range(40, 65),
        [],
    ],
)
def test_all_tasks_are_read_once_in_order_however_their_ids_lie(
    asked: Asked, client: LabelStudioClient, numbers: range | list[int]
) -> None:
    asked.tasks = [{"id": number} for number in numbers]
    assert [task["id"] for task in client.tasks("7", page_size=PAGE)] == list(numbers)


def test_a_page_costs_one_request_and_changes_are_asked_for_by_their_time(
    asked: Asked, client: LabelStudioClient
) -> None:
    asked.tasks = [{"id": number} for number in range(1, 96)]
    assert len(list(client.tasks("7", page_size=PAGE))) == 95 and len(asked.counted) == 10
    asked.tasks[50]["updated_at"] = "2026-01-02T00:00:00.000000Z"
    before = client.newest_change("7")
    assert before is not None and before.isoformat() == "2026-01-02T00:00:00+00:00"
    assert client.newest_change("7", before) is None and asked.counted[-1] == 0


@pytest.mark.parametrize(
    ("tasks", "path", "requests"), [(2000, "/api/projects/7/import/predictions", 1), (2001, "/api/predictions/", 3)]
)
def test_predictions_of_large_projects_are_stored_one_by_one(
    asked: Asked, client: LabelStudioClient, tasks: int, path: str, requests: int
) -> None:
    predictions = [{"task": number, "result": [], "score": 0.5, "model_version": "v1"} for number in range(3)]
    client.import_predictions("7", predictions, "<View/>", tasks)
    assert [where for where, _ in asked.posted] == [path] * requests
    sent = [each for _, what in asked.posted for each in (what if isinstance(what, list) else [what])]
    assert [each["task"] for each in sent] == [0, 1, 2]


def test_a_server_that_gives_the_same_tasks_again_and_again_is_not_read_for_ever() -> None:
    same = json.dumps({"tasks": [{"id": number, "data": {}} for number in range(1, PAGE + 1)]}).encode()
    with (
        answering(lambda handler: send(handler, 200, same)) as url,
        closing(LabelStudioClient(url, "0" * 40)) as client,
        pytest.raises(LabelStudioError, match="gave task 1, though those above 10 were asked for"),
    ):
        list(client.tasks("7", page_size=PAGE))
