"""What a person does in Label Studio by hand: make a project, connect a model, press the button, look at tasks."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from backend.labelstudio.recommended_config import label_tags

PAGE = 100
Json = dict[str, Any]


def label_config(classes: Sequence[str]) -> str:
    """A config where people choose the classes, with boxes and brush masks for Boxstrap to fill."""
    choices = "".join(f'<Choice value="{html.escape(name, quote=True)}"/>' for name in classes)
    labels = label_tags(classes)
    return f"""<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <Choices name="class" toName="image" choice="multiple" showInline="true">{choices}</Choices>
  <RectangleLabels name="box" toName="image" smart="true">{labels}</RectangleLabels>
  <BrushLabels name="mask" toName="image" smart="true">{labels}</BrushLabels>
</View>"""


class DemoProject:
    """A Label Studio server, as the user whose token it is sees it."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Token {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=300, trust_env=False)

    def close(self) -> None:
        """Lets go of the connections."""
        self._http.close()

    def call(self, method: str, path: str, **what: Any) -> Any:
        """What the API answers; RuntimeError where it refuses."""
        response = self._http.request(method, path, **what)
        if response.is_error:
            raise RuntimeError(f"Label Studio: {method} {path} answered {response.status_code}: {response.text[:500]}")
        return response.json() if response.content else None

    def make(self, title: str, config: str) -> int:
        """An empty project; its number."""
        return int(self.call("POST", "/api/projects/", json={"title": title, "label_config": config})["id"])

    def serve_local_files(self, project_id: int, folder: Path) -> None:
        """Lets Label Studio serve the project the pictures in a folder below its document root."""
        values = {"project": project_id, "path": str(folder), "use_blob_urls": True, "title": "pictures"}
        self.call("POST", "/api/storages/localfiles", json=values)

    def import_tasks(self, project_id: int, tasks: Sequence[Json]) -> None:
        """Adds tasks, each with its `data` and what people have said about it, or the data alone."""
        self.call("POST", f"/api/projects/{project_id}/import", json=tasks)

    def connect(self, project_id: int, url: str, **more: Any) -> int:
        """The number of the project's backend at `url`; connects it where it is not.

        Args: more: what else Label Studio is to know of it, its password for example.
        """
        for backend in self.call("GET", "/api/ml", params={"project": project_id}):
            if backend["url"] == url:
                return int(backend["id"])
            self.call("DELETE", f"/api/ml/{backend['id']}")  # an earlier demo's, on another port
        values = {"project": project_id, "url": url, "title": "Boxstrap", "is_interactive": True, **more}
        return int(self.call("POST", "/api/ml", json=values)["id"])

    def backend(self, project_id: int) -> int:
        """The number of the project's backend."""
        return int(self.call("GET", "/api/ml", params={"project": project_id})[0]["id"])

    def start_training(self, backend_id: int) -> None:
        """Presses the button."""
        self.call("POST", f"/api/ml/{backend_id}/train", json={})

    def retrieve_predictions(self, project_id: int) -> None:
        """Has Label Studio ask the backend about every task that it has no prediction of this version for."""
        chosen = {"selectedItems": {"all": True, "excluded": []}}
        params = {"id": "retrieve_tasks_predictions", "project": project_id}
        self.call("POST", "/api/dm/actions", params=params, json=chosen)

    def tasks(self, project_id: int) -> list[Json]:
        """All tasks, with their predictions, in the order of their numbers."""
        tasks: list[Json] = []
        page = 1
        while True:
            params = {"project": project_id, "page": page, "page_size": PAGE, "fields": "all"}
            found = self.call("GET", "/api/tasks", params=params)
            tasks += found["tasks"]
            if page * PAGE >= found["total"]:
                return sorted(tasks, key=lambda task: int(task["id"]))
            page += 1
