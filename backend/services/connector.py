"""Connects imported projects as soon as Label Studio and we reach each other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing

from backend.errors import BackendError
from backend.labelstudio.project_client import ProjectClient
from backend.queueing.periodic import PeriodicThread
from backend.services.importing import ImportService
from backend.settings import Settings
from backend.storage.stores import Stores

logger = logging.getLogger(__name__)

EVERY_S = 10.0


class Connector(PeriodicThread):
    """Runs beside `boxstrap up`; looks for projects that wait to be connected."""

    def __init__(self, settings: Settings, stores: Stores, on_connected: Callable[[str], None]) -> None:
        """Args: on_connected: is told each project that was connected."""
        super().__init__("connector")
        self._settings, self._stores, self._on_connected = settings, stores, on_connected
        self._said: dict[str, str] = {}

    def run_once(self) -> None:
        """Try each project that waits; what keeps one from it is logged once."""
        for project_id, url in self._stores.connections.wanted().items():
            try:
                with closing(ProjectClient.of(self._settings)) as client:
                    ImportService(self._settings, self._stores, client).connect(project_id, url)
            except BackendError as error:
                if self._said.get(project_id) != str(error):
                    logger.warning("project %s is not connected yet, it is tried again: %s", project_id, error)
                self._said[project_id] = str(error)
            else:
                self._on_connected(project_id)

    def _work(self) -> None:
        while True:
            try:
                self.run_once()
            except Exception:  # a thread that dies in silence would connect nothing any more
                logger.exception("connector: unexpected")
            if self._done.wait(EVERY_S):
                return
