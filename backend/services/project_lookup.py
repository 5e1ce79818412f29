"""Asks Label Studio whether it has a project, so that what anybody makes up leaves nothing behind."""

from __future__ import annotations

import threading

from backend.errors import LabelStudioError
from backend.labelstudio.client import LabelStudioClient
from backend.settings import Settings

WAIT_S = 1.0  # Label Studio waits 3 s for the answer to /setup, in which it is asked


class ProjectLookup:
    """One connection to Label Studio, made when it is needed first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: LabelStudioClient | None = None
        self._lock = threading.Lock()

    def is_missing(self, project_id: str) -> bool:
        """Return whether Label Studio says that there is no such project; False too where it cannot be asked."""
        try:
            client = self._connected()
            return client is not None and not client.has_project(project_id)
        except LabelStudioError:
            return False

    def _connected(self) -> LabelStudioClient | None:
        url, key = self._settings.label_studio_url, self._settings.label_studio_api_key
        with self._lock:
            if self._client is None and url and key:
                self._client = LabelStudioClient(url, key, timeout_s=WAIT_S, waits_s=())
            return self._client
