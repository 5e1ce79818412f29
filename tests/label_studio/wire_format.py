"""What Label Studio sends, as far as Boxstrap reads it: keys, and of which kind their values are.

python -m tests.label_studio.wire_format   records it anew, from the Label Studio that `make test` installs
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx

from demo.label_studio_server import VERSION, LabelStudioServer
from demo.local_servers import free_port
from tests.label_studio.person import CONFIG, Person
from tests.label_studio.servers import LOGIN, ROOT, label_studio_data, s3
from tests.local_http import answering, send

RECORDED = ROOT / "tests" / "fixtures" / f"label_studio_{VERSION}.json"

Json = dict[str, Any]

# Only what is read: everything else may change without anybody's noticing.
_READ = {
    "task": ("id", "data", "annotations", "predictions", "drafts", "updated_at", "is_labeled", "project"),
    "annotation": ("id", "result", "was_cancelled", "ground_truth", "completed_by", "updated_at", "parent_prediction"),
    "project": ("id", "title", "label_config", "model_version", "sampling"),
}


def observed(server: LabelStudioServer, endpoint: str, pictures: list[Path]) -> Json:
    """What a running Label Studio sends of a project with one picture in each of two S3 storages."""
    calls: dict[str, Json] = {}
    with closing(Person(server.url)) as person, _recording_backend(calls) as backend:
        project = person.make("wire format", CONFIG)
        for bucket, presign in (("wire-presigned", True), ("wire-proxied", False)):
            fill(endpoint, bucket, pictures[:1])
            person.s3_storage(project, endpoint, bucket, presign)
        connected = person.connect(project, backend)
        first, second = person.tasks(project)
        person.choose(first, "fish")
        person.start_training(connected)
        person.retrieve_predictions(project)
        params = {"project": project, "fields": "all"}
        return {
            "GET /api/tasks/": _task(person.call("GET", "/api/tasks/", params=params)["tasks"][0]),
            "GET /api/tasks/?resolve_uri=false": _task(
                person.call("GET", "/api/tasks/", params={**params, "resolve_uri": "false"})["tasks"][0]
            ),
            "GET /api/tasks/ID/": _task(person.call("GET", f"/api/tasks/{first['id']}/")),
            "GET /api/projects/ID/": _read(person.call("GET", f"/api/projects/{project}/"), "project"),
            "GET /tasks/ID/presign/, presigned": _presigned(server, first),
            "GET /tasks/ID/presign/, proxied": _presigned(server, second),
            **{name: calls[name] for name in sorted(calls)},
        }


def fill(endpoint: str, bucket: str, pictures: list[Path]) -> None:
    """Makes a bucket with the pictures in it, under such names as people give them."""
    with httpx.Client(base_url=endpoint, trust_env=False) as http:
        http.put(f"/{bucket}").raise_for_status()
        for path in pictures:
            name, headers = f"{path.parent.name}- ü {path.name}", {"Content-Type": "image/jpeg"}
            http.put(f"/{bucket}/{name}", content=path.read_bytes(), headers=headers).raise_for_status()


@contextmanager
def _recording_backend(calls: dict[str, Json]) -> Iterator[str]:
    """A backend that answers as one should, and keeps the last call of each kind."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers.get("Content-Length") or 0)) or b"{}")
        if handler.path == "/setup":
            calls["POST /setup"] = shape({key: body[key] for key in body if key != "schema"})
        elif handler.path == "/predict":
            calls["POST /predict"] = {**shape(_without(body, "tasks")), "tasks": [_task(body["tasks"][0])]}
        elif handler.path == "/webhook":
            keys = {key: shape(value) for key, value in body.items() if key not in ("project", "task", "annotation")}
            calls[f"POST /webhook {body['action']}"] = {**keys, "project": _read(body["project"], "project")}
        results = [{"result": [], "score": 0, "model_version": "v1"} for _ in body.get("tasks", ())]
        send(handler, 200, json.dumps({"model_version": "v1", "results": results, "status": "UP"}).encode())

    with answering(answer) as url:
        yield url


def shape(value: object) -> Any:
    """The kind of a value; of addresses the form, of lists the first item."""
    if isinstance(value, Mapping):
        return {str(key): shape(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    if isinstance(value, str):
        return _form(value)
    return type(value).__name__


def _form(text: str) -> str:
    for pattern, form in (
        (r"s3://.*", "s3://BUCKET/KEY"),
        (r"http://127\.0\.0\.1:\d+/tasks/\d+/resolve/\?fileuri=.*", "HOSTNAME/tasks/ID/resolve/?fileuri=BASE64"),
        (r"/tasks/\d+/resolve/\?fileuri=.*", "/tasks/ID/resolve/?fileuri=BASE64"),
        (r"http://(localhost|127\.0\.0\.1):\d+", "HOSTNAME"),
        (r"\d+\.\d+", "PROJECT.TIME"),
        (r"\d{4}-\d\d-\d\dT.*Z", "TIME"),
        (r"<View>.*", "XML"),
        (r"[A-Z_]+", text),
    ):
        if re.fullmatch(pattern, text, re.DOTALL):
            return form
    return "str"


def _without(values: Json, name: str) -> Json:
    return {key: value for key, value in values.items() if key not in (name, "label_config")}


def _read(values: Json, kind: str) -> Json:
    return {key: shape(values[key]) for key in _READ[kind] if key in values}


def _task(task: Json) -> Json:
    annotations = [_read(each, "annotation") for each in task.get("annotations") or ()][:1]
    return {**_read({**task, "annotations": [], "predictions": []}, "task"), "annotations": annotations}


def _presigned(server: LabelStudioServer, task: Json) -> Json:
    address = str(task["data"]["image"]).replace("/resolve/", "/presign/")
    path = address.removeprefix(server.hostname)
    headers = {"Authorization": f"Token {LOGIN.token}"}
    answer = httpx.get(f"{server.url}{path}", headers=headers, trust_env=False)
    return {
        "status": answer.status_code,
        "redirects": "location" in answer.headers,
        "picture": len(answer.content) > 99,
    }


def main() -> None:
    """Writes the fixture."""
    build = ROOT / "build"
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        shutil.copytree(label_studio_data(build / "label-studio/bin/label-studio", build / "label-studio-data"), data)
        server = LabelStudioServer(build / "label-studio/bin/label-studio", data, free_port(), LOGIN, hostname="")
        try:
            server.start()
            with s3(build / "moto/bin/moto_server", data / "s3.log") as endpoint:
                found = observed(server, endpoint, [ROOT / "docs" / "drawn.jpg"])
        finally:
            server.stop()
    RECORDED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
