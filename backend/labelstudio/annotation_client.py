"""Label Studio's REST API as far as annotations are made and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from backend.errors import LabelStudioError
from backend.labelstudio.client import LabelStudioClient
from backend.settings import Settings


class AnnotationClient(LabelStudioClient):
    """Nothing is sent twice: an annotation whose answer was lost may have been made."""

    def __init__(self, base_url: str, api_key: str) -> None:
        super().__init__(base_url, api_key, waits_s=())

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the client of the settings' Label Studio. Raises: LabelStudioError if they name none."""
        if not (settings.label_studio_url and settings.label_studio_api_key):
            raise LabelStudioError(
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not both set, so Label Studio cannot be asked; set both."
            )
        return cls(settings.label_studio_url, settings.label_studio_api_key)

    def add_annotation(self, task_id: int, annotation: Mapping[str, Any]) -> int:
        """Submit an annotation as the token's user; return its number."""
        return int(self._object("POST", f"api/tasks/{task_id}/annotations/", json=dict(annotation))["id"])

    def delete_annotation(self, annotation_id: int) -> bool:
        """Remove an annotation; return whether it was still there."""
        return self._if_there("DELETE", f"api/annotations/{annotation_id}/")
