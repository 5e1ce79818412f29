"""What a person does in Label Studio, through the API that its pages use."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.project import DemoProject
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


class Person(DemoProject):
    """Logged in with the legacy token; does more than the demo does."""

    def __init__(self, url: str) -> None:
        super().__init__(url, LOGIN.token)

    def upload(self, project: int, pictures: Sequence[Path]) -> None:
        files = {f"file{i}": (path.name, path.read_bytes(), "image/jpeg") for i, path in enumerate(pictures)}
        self.call("POST", f"/api/projects/{project}/import", files=files)

    def local_files(self, project: int, folder: Path, pictures: Sequence[Path]) -> None:
        self.serve_local_files(project, folder)
        names = [str(path.relative_to(folder.parent)) for path in pictures]
        self.import_images(project, [f"/data/local-files/?d={name}" for name in names])

    def s3_storage(self, project: int, endpoint: str, bucket: str, presign: bool) -> None:
        """Connects a bucket, and makes a task of each of its pictures."""
        keys = {"aws_access_key_id": "someone", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        values = {"project": project, "title": bucket, "bucket": bucket, "s3_endpoint": endpoint, **keys}
        made = self.call("POST", "/api/storages/s3", json={**values, "use_blob_urls": True, "presign": presign})
        self.call("POST", f"/api/storages/s3/{made['id']}/sync")

    def import_images(self, project: int, references: Sequence[str]) -> None:
        self.import_tasks(project, [{"image": reference} for reference in references])

    def data_uris(self, project: int, pictures: Sequence[Path]) -> None:
        codes = [base64.b64encode(path.read_bytes()).decode() for path in pictures]
        self.import_images(project, [f"data:image/jpeg;base64,{code}" for code in codes])

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

    def predictions(self, project: int, version: str | None = None) -> list[Json]:
        found = self.call("GET", "/api/predictions/", params={"project": project})
        return [each for each in found if version in (None, each["model_version"])]

    def point_at(self, backend: int, task: int, region: Json) -> Json:
        """Draws a region with Auto-Annotation on; what the editor is given."""
        context = {"task": task, "context": {"result": [region]}}
        return dict(self.call("POST", f"/api/ml/{backend}/interactive-annotating", json=context)["data"])
