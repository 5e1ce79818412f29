"""What Label Studio says of its projects, and what it is told of their models."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from backend.errors import NotFoundError, QueueError
from backend.jobs.queue import JobQueue
from backend.settings import Settings
from backend.storage.models import Version
from backend.storage.projects import Project
from backend.storage.stores import Stores

logger = logging.getLogger(__name__)


class ProjectService:
    """Projects, their versions, and the name of the version that predicts for them."""

    def __init__(self, settings: Settings, stores: Stores, queue: JobQueue) -> None:
        self._settings, self._stores, self._queue = settings, stores, queue

    def set_up(self, project_id: str, label_config: str, hostname: str, own_url: str) -> str:
        """Remembers the project; the version that it is served with. Quick: Label Studio asks all the time.

        Args: own_url: our address as Label Studio reached it.
        """
        known = self._stores.projects.find(project_id) or Project(project_id, "")
        self._stores.projects.remember(replace(known, label_config=label_config, hostname=hostname))
        if self._settings.basic_auth_user is not None:
            # Label Studio makes the webhook after this call, without our password; a worker adds it.
            try:
                self._queue.sign_webhook(project_id, own_url)
            except QueueError as error:  # asked for again at the next call; predictions need no webhook
                logger.warning("project %s: the webhook is not signed: %s", project_id, error)
        return self._stores.models.label(project_id)

    def changed(self, project_id: str, label_config: str, title: str) -> None:
        """Takes over what an event says of a project that was set up before; "" says nothing."""
        if (project := self._stores.projects.find(project_id)) is not None:
            self._stores.projects.remember(
                replace(project, label_config=label_config or project.label_config, title=title or project.title)
            )

    def heard(self, project_id: str, action: str) -> None:
        """Notes that Label Studio's webhook comes through, for `boxstrap doctor`."""
        try:
            self._queue.report_progress(f"event-{project_id}", {"action": action, "at": time.time()})
        except QueueError as error:  # what the event says counts all the same
            logger.warning("project %s: event %r is not noted: %s", project_id, action, error)

    def last_event(self, project_id: str) -> dict[str, Any] | None:
        """The action of the newest event and when it came (`at`, seconds since 1970); None a day after it."""
        return self._queue.progress(f"event-{project_id}")

    def label_config(self, project_id: str) -> str:
        """As last heard; "" of a project never heard of."""
        project = self._stores.projects.find(project_id)
        return project.label_config if project else ""

    def all(self) -> list[Project]:
        """Every project that was set up or has versions, by number."""
        known = {project.id: project for project in self._stores.projects.all()}
        for name in self._stores.models.projects():
            known.setdefault(name, Project(name, ""))
        return sorted(known.values(), key=lambda project: (len(project.id), project.id))

    def require(self, project_id: str) -> None:
        """NotFoundError unless the project was set up or has versions."""
        if not any(project.id == project_id for project in self.all()):
            raise NotFoundError(f"Project {project_id} was never set up; connect it in Label Studio first.")

    def live(self, project_id: str) -> str | None:
        """The version that predicts; None before the first."""
        return self._stores.models.current(project_id)

    def published(self, project_id: str) -> list[Version]:
        """All versions, newest first."""
        return self._stores.models.versions(project_id)[::-1]

    def versions(self, project_id: str | None = None) -> list[str]:
        """Names of all versions, of one project if it is named; newest first."""
        projects = [project_id] if project_id else self._stores.models.projects()
        return [version.name for name in projects for version in self.published(name)]

    def activate(self, project_id: str, version: str) -> None:
        """Lets another version predict from the next request on; NotFoundError where there is no such version."""
        self._stores.models.folder(project_id, version)  # before a project that does not exist gets a folder
        self._stores.models.activate(project_id, version)
        logger.info("project %s: %s is live", project_id, version)

    def preannotation(self, project_id: str) -> dict[str, Any] | None:
        """How far the newest pre-annotation is: version, tasks seen and done, whether it has ended."""
        return self._queue.progress(f"bulk-{project_id}")
