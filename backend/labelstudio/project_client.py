"""Label Studio's REST API as far as making, filling and connecting a project needs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from backend.errors import LabelStudioError
from backend.labelstudio.client import Json, LabelStudioClient
from backend.labelstudio.connection import status_of
from backend.settings import Settings

TIMEOUT_S = 300.0  # for a batch of pictures over a slow line
TITLE = "Boxstrap"  # of our backend, as the model page and the list of model versions show it


class ProjectClient(LabelStudioClient):
    """Nothing is sent twice: an import whose answer was lost may have been done."""

    def __init__(self, base_url: str, api_key: str) -> None:
        super().__init__(base_url, api_key, timeout_s=TIMEOUT_S, waits_s=())
        self._path = urlsplit(self.base_url).path  # addresses in tasks begin with it

    @classmethod
    def of(cls, settings: Settings) -> ProjectClient:
        """Return the client of the settings' Label Studio. Raises: LabelStudioError if they name none."""
        if not (settings.label_studio_url and settings.label_studio_api_key):
            raise LabelStudioError(
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not both set; set them to Label Studio's address and to "
                "an access token from its Account & Settings."
            )
        return cls(settings.label_studio_url, settings.label_studio_api_key)

    def projects_titled(self, title: str) -> list[Json]:
        """Return the projects of exactly that title, the newest last."""
        found = self._object("GET", "api/projects/", params={"title": title, "page_size": 1000})
        same = [project for project in found.get("results", []) if project.get("title") == title]
        return sorted(same, key=lambda project: int(project["id"]))

    def create_project(self, title: str, label_config: str) -> Json:
        """Make an empty project."""
        return self._object("POST", "api/projects/", json={"title": title, "label_config": label_config})

    def upload(self, project_id: str, files: Sequence[tuple[str, Path]]) -> list[str]:
        """Upload files, each under a name, without making tasks; return their addresses as tasks hold them."""
        # A field of its own for each: of several with one name Label Studio keeps the last.
        parts = {f"file{index}": (name, path.read_bytes()) for index, (name, path) in enumerate(files)}
        done = self._object(
            "POST", f"api/projects/{project_id}/import", params={"commit_to_project": "false"}, files=parts
        )
        numbers = done.get("file_upload_ids")
        kept = self._json("GET", f"api/projects/{project_id}/file-uploads", params={"ids": json.dumps(numbers)})
        names = {each["id"]: each["file"] for each in kept}
        if not isinstance(numbers, list) or len(numbers) != len(files) or not set(numbers) <= names.keys():
            raise LabelStudioError(f"Label Studio kept {len(names)} of {len(files)} files that were uploaded to it.")
        return [f"{self._path}/data/{names[number]}" for number in numbers]

    def local_address(self, path: str) -> str:
        """Return the address, as tasks hold it, of a file in the folder that Label Studio serves."""
        return f"{self._path}/data/local-files/?d={quote(path)}"

    def import_tasks(self, project_id: str, tasks: Sequence[Json]) -> None:
        """Add tasks, each with its `data`."""
        self._object("POST", f"api/projects/{project_id}/import", json=list(tasks))

    def serve_local_files(self, project_id: str, folder: Path) -> None:
        """Have Label Studio serve a folder of its own disk to the project; nothing changes where it does already."""
        kept = self._json("GET", "api/storages/localfiles", params={"project": project_id})
        if not any(Path(str(each.get("path"))) == folder for each in kept):
            values = {"project": project_id, "path": str(folder), "use_blob_urls": True, "title": folder.name}
            self._object("POST", "api/storages/localfiles", json=values)

    def add_backend(self, project_id: str, url: str, user: str | None, password: str | None) -> None:
        """Connect us at `url`, as Label Studio reaches it, with interactive pre-annotations.

        Raises: LabelStudioError that says what to do where it does not reach us, or may not.
        """
        values: Json = {"project": project_id, "url": url, "title": TITLE, "is_interactive": True}
        if user is not None:
            values |= {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
        try:
            self._object("POST", "api/ml", json=values)
        except LabelStudioError as error:
            if status_of(error) == 400:
                raise LabelStudioError(
                    f"Label Studio does not reach Boxstrap at {url}; is `boxstrap up` running there?"
                ) from error
            if status_of(error) != 403:
                raise
            # The backend may be kept although its webhook was refused: then it would look connected, and hear nothing.
            self.remove_backends([each for each in self.backends(project_id) if each.get("url") == url])
            raise LabelStudioError(
                f"Label Studio may not call {url}; start it with ML_BLOCK_LOCAL_IP=false and "
                "SSRF_PROTECTION_ENABLED=false, since it refuses private addresses by default."
            ) from error

    def remove_backends(self, backends: Sequence[Json]) -> None:
        """Disconnect backends."""
        for backend in backends:
            self._if_there("DELETE", f"api/ml/{backend['id']}")
