"""What a person does in Label Studio, through the API that its pages use."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.label_studio.servers import LOGIN

Json = dict[str, Any]
CONFIG = """<View>
  <Image name="image" value="$image"/>
  <Choices name="class" toName="image" choice="multiple"><Choice value="ladybird"/><Choice value="fish"/></Choices>
  <RectangleLabels name="box" toName="image" smart="true">
    <Label value="ladybird"/><Label value="fish"/>
  </RectangleLabels>
  <BrushLabels name="mask" toName="image" smart="true">
    <Label value="ladybird"/><Label value="fish"/>
  </BrushLabels>
</View>"""


class Person:
    """Logged in with the legacy token."""

    def __init__(self, url: str) -> None:
        self.url = url
        headers = {"Authorization": f"Token {LOGIN.token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, **what: Any) -> Any:
        response = self._http.request(method, path, **what)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None

    def project(self, title: str, config: str = CONFIG) -> int:
        return int(self.call("POST", "/api/projects/", json={"title": title, "label_config": config})["id"])

    def upload(self, project: int, pictures: Sequence[Path]) -> None:
        files = {f"file{i}": (path.name, path.read_bytes(), "image/jpeg") for i, path in enumerate(pictures)}
        self.call("POST", f"/api/projects/{project}/import", files=files)

    def local_files(self, project: int, folder: Path, pictures: Sequence[Path]) -> None:
        values = {"project": project, "path": str(folder), "use_blob_urls": True, "title": "local"}
        self.call("POST", "/api/storages/localfiles", json=values)
        names = [str(path.relative_to(folder.parent)) for path in pictures]
        self.import_images(project, [f"/data/local-files/?d={name}" for name in names])

    def import_images(self, project: int, references: Sequence[str]) -> None:
        self.call("POST", f"/api/projects/{project}/import", json=[{"image": reference} for reference in references])

    def data_uris(self, project: int, pictures: Sequence[Path]) -> None:
        codes = [base64.b64encode(path.read_bytes()).decode() for path in pictures]
        self.import_images(project, [f"data:image/jpeg;base64,{code}" for code in codes])

    def tasks(self, project: int) -> list[Json]:
        params = {"project": project, "page_size": 500, "fields": "all"}
        return sorted(self.call("GET", "/api/tasks", params=params)["tasks"], key=lambda task: int(task["id"]))

    def choose(self, task: Json, label: str) -> None:
        said = {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
        self.call("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": [said], "lead_time": 1.0})

    def draw(self, task: Json, label: str, xywh_percent: tuple[float, float, float, float]) -> None:
        """A box, in a picture of 640 x 480."""
        sides = dict(zip(("x", "y", "width", "height"), xywh_percent, strict=True))
        value = {**sides, "rotation": 0, "rectanglelabels": [label]}
        size = {"original_width": 640, "original_height": 480, "image_rotation": 0}
        where = {"id": "drawn", "from_name": "box", "to_name": "image", "type": "rectanglelabels"}
        result = [{**where, **size, "origin": "manual", "value": value}]
        self.call("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": result, "lead_time": 1.0})

    def connect(self, project: int, url: str, **more: Any) -> Json:
        values = {"project": project, "url": url, "title": "Boxstrap", "is_interactive": True, **more}
        return dict(self.call("POST", "/api/ml", json=values))

    def backend(self, project: int) -> Json:
        return dict(self.call("GET", "/api/ml", params={"project": project})[0])

    def start_training(self, backend: int) -> None:
        self.call("POST", f"/api/ml/{backend}/train", json={})

    def retrieve_predictions(self, project: int) -> None:
        params = {"id": "retrieve_tasks_predictions", "project": project}
        self.call("POST", "/api/dm/actions", params=params, json={"selectedItems": {"all": True, "excluded": []}})

    def predictions(self, project: int, version: str | None = None) -> list[Json]:
        found = self.call("GET", "/api/predictions/", params={"project": project})
        return [each for each in found if version in (None, each["model_version"])]

    def point_at(self, backend: int, task: int, region: Json) -> Json:
        """Draws a region with Auto-Annotation on; what the editor is given."""
        context = {"task": task, "context": {"result": [region]}}
        return dict(self.call("POST", f"/api/ml/{backend}/interactive-annotating", json=context)["data"])
