"""What Label Studio says of its projects, and what it is told of their models."""

from __future__ import annotations

from dataclasses import replace

from backend.jobs.queue import JobQueue
from backend.settings import Settings
from backend.storage.projects import Project
from backend.storage.stores import Stores


class ProjectService:
    """Projects, and the name of the version that predicts for them."""

    def __init__(self, settings: Settings, stores: Stores, queue: JobQueue) -> None:
        self._settings, self._stores, self._queue = settings, stores, queue

    def set_up(self, project_id: str, label_config: str, hostname: str, own_url: str) -> str:
        """Remembers the project; the version that it is served with. Quick: Label Studio asks all the time.

        Args: own_url: our address as Label Studio reached it.
        """
        self._stores.projects.remember(Project(project_id, label_config, hostname))
        if self._settings.basic_auth_user is not None:
            # Label Studio makes the webhook after this call, without our password; a worker adds it.
            self._queue.sign_webhook(project_id, own_url)
        return self._stores.models.label(project_id)

    def changed(self, project_id: str, label_config: str) -> None:
        """Takes over the labeling config of a project that was set up before."""
        if (project := self._stores.projects.find(project_id)) is not None and label_config:
            self._stores.projects.remember(replace(project, label_config=label_config))

    def label_config(self, project_id: str) -> str:
        """As last heard; "" of a project never heard of."""
        project = self._stores.projects.find(project_id)
        return project.label_config if project else ""

    def versions(self, project_id: str | None = None) -> list[str]:
        """Names of all versions, of one project if it is named; newest first."""
        models = self._stores.models
        projects = [project_id] if project_id else models.projects()
        return [version.name for name in projects for version in reversed(models.versions(name))]
