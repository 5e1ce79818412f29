"""The real application on a real socket and a real Redis, and a worker that answers without learning anything."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

from backend.queueing.connection import connect
from backend.queueing.queue import PREDICT, JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores, open_stores
from backend.storage.version_facts import VersionFacts
from backend.web.connections import make_server
from backend.wiring import build_app

CONFIG = """
<View><Image name="image" value="$image"/>
  <Choices name="class" toName="image"><Choice value="fish"/></Choices>
  <RectangleLabels name="box" toName="image"><Label value="fish"/></RectangleLabels></View>
"""
Json = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A server that runs, and what it works with."""

    client: httpx.Client
    settings: Settings
    stores: Stores
    queue: JobQueue

    def post(self, path: str, body: object, **options: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        return self.client.post(path, content=json.dumps(body), headers=headers, **options)

    def set_up(self, project: str = "7") -> None:
        assert self.post("/setup", {"project": f"{project}.17", "schema": CONFIG}).status_code == 200

    def publish(self, tmp_path: Path, project: str = "7", **facts: object) -> str:
        """A version without weights; the live one now."""
        for name in ("model.safetensors", "model.json"):
            (tmp_path / name).write_text("{}")
        return self.stores.models.publish(project, tmp_path, VersionFacts.from_dict(facts))


@contextmanager
def serving(settings: Settings, most: int | None = None) -> Iterator[Site]:
    server = make_server(build_app(settings), "127.0.0.1", 0, most)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield Site(client, settings, open_stores(settings), JobQueue(connect(settings)))
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@contextmanager
def serving_with(site: Site, **changes: Any) -> Iterator[Site]:
    """A second server on the same data, with other settings."""
    with serving(replace(site.settings, **changes)) as other:
        yield other


def task(number: int, **data: object) -> Json:
    return {"id": number, "data": {"image": f"/data/upload/7/{number}.png", **data}, "annotations": [], "project": 7}


@contextmanager
def predict_worker(
    queue: JobQueue, answer: Callable[[Json], Any], fails: str | None = None, slow_s: float = 0
) -> Iterator[list[Json]]:
    """Answers every /predict with `answer` of its call, or fails; yields the calls it got."""
    calls: list[Json] = []
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            found = queue.connection.lpop(f"rq:queue:{PREDICT}")
            if not isinstance(found, bytes):
                time.sleep(0.005)
                continue
            try:
                job = Job.fetch(found.decode(), connection=queue.connection, serializer=JSONSerializer)
            except NoSuchJobError:  # a janitor took it for one that a worker lost, since it is still "queued"
                continue
            if not str(job.func_name).endswith("predict.predict"):
                continue
            calls.append(job.args[0])
            time.sleep(slow_s)
            if fails is not None:
                Result.create_failure(job, 60, fails)
            else:
                Result.create(job, Result.Type.SUCCESSFUL, 60, answer(job.args[0]))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield calls
    finally:
        done.set()
        thread.join(timeout=10)


def one_each(call: Json) -> list[Json]:
    """An empty prediction for every task, with its id as the score."""
    return [{"result": [], "score": task["id"], "model_version": call["version"]} for task in call["tasks"]]


def code_of(answer: httpx.Response) -> str:
    """The error's code, after checking its shape."""
    body = answer.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message"}, body
    assert isinstance(body["error"]["message"], str) and body["error"]["message"]
    assert "Traceback" not in answer.text
    return str(body["error"]["code"])
