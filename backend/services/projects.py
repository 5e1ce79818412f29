"""Remember what Label Studio says of its projects, and tell it the versions of their models."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from backend.errors import NotFoundError, QueueError, RegistryError, RequestError, TooLargeError
from backend.labelstudio.config_xml import LARGEST_CONFIG
from backend.labelstudio.label_config import LabelConfig, unknown_classes, unknown_sentence
from backend.queueing.progress import PreannotationProgress
from backend.queueing.queue import JobQueue
from backend.services.project_lookup import ProjectLookup
from backend.settings import Settings
from backend.storage.models import Version
from backend.storage.projects import Project
from backend.storage.stores import Stores
from wsol_core.errors import StorageError

logger = logging.getLogger(__name__)

START_TRAINING = "START_TRAINING"  # the only event that is no news of tasks, annotations or the project
LEAVE_NO_TRACE = ("ANNOTATIONS_DELETED", "TASKS_DELETED")  # everything has to be read to see what is missing

_NUMBER = re.compile(r"[0-9]{1,18}")


def project_number(text: object) -> str:
    """Return the project's number in "7.1795206333", "7" or 7. Raises: RequestError if there is none."""
    number = str(text).partition(".")[0]
    if not _NUMBER.fullmatch(number):
        raise RequestError(
            f"project is {str(text)[:40]!r}; it has to begin with the project's number, as in '7.17952'."
        )
    return str(int(number))


class ProjectService:
    """Keeps projects, and knows their versions and which of them predicts."""

    def __init__(self, settings: Settings, stores: Stores, queue: JobQueue) -> None:
        self._settings, self._stores, self._queue = settings, stores, queue
        self._lookup = ProjectLookup(settings)

    def set_up(self, project_id: str, label_config: str, hostname: str, own_url: str) -> str:
        """Remember the project; return its live version. Quick: Label Studio asks all the time.

        One that Label Studio does not have is not remembered.

        Args: own_url: our address as Label Studio reached it.
        """
        if len(label_config) > LARGEST_CONFIG:
            raise TooLargeError(f"The labeling config has more than {LARGEST_CONFIG:,} characters; shorten it.")
        if self._is_made_up(project_id):
            logger.warning("project %s is not set up: %s has none", project_id, self._settings.label_studio_url)
            return self._stores.models.label(project_id)
        known = self._stores.projects.find(project_id) or Project(project_id, "")
        self._remember(replace(known, label_config=label_config, hostname=hostname))
        if self._settings.basic_auth_user is not None:
            # Label Studio makes the webhook after this call, without our password; a worker adds it.
            try:
                self._queue.authorize_webhook(project_id, own_url)
            except QueueError as error:  # asked for again at the next call; predictions need no webhook
                logger.warning("project %s: the webhook is not signed: %s", project_id, error)
        return self._stores.models.label(project_id)

    def changed(self, project_id: str, label_config: str, title: str) -> None:
        """Take over what an event says of a project that was set up before; "" says nothing."""
        project = self._stores.projects.find(project_id)
        if project is not None and len(label_config) + len(title) <= LARGEST_CONFIG:
            self._remember(
                replace(project, label_config=label_config or project.label_config, title=title or project.title)
            )

    def record_event(self, project_id: str, action: str) -> None:
        """Keep the event's name and time, and have a worker read what people did; quick."""
        if self._is_made_up(project_id):
            return
        try:
            self._queue.events.record(project_id, action)
            if action != START_TRAINING and self._stores.projects.find(project_id) is not None:
                self._queue.sync_annotations(project_id, full=action in LEAVE_NO_TRACE)
        except QueueError as error:  # what the event says counts all the same, and is seen at the next look
            logger.warning("project %s: event %r is not noted: %s", project_id, action, error)

    def last_event(self, project_id: str) -> dict[str, Any] | None:
        """Return the action of the newest event and when it came (`at`, seconds since 1970); None a day after it."""
        return self._queue.events.last(project_id)

    def label_config(self, project_id: str) -> str:
        """Return the labeling config as Label Studio said it last; "" of a project that it never named."""
        project = self._stores.projects.find(project_id)
        return project.label_config if project else ""

    def read_config(self, project_id: str, label_config: str) -> LabelConfig:
        """Return a labeling config of the project, with the classes that its policy renames. Raises: RequestError."""
        return LabelConfig.parse(label_config, self._stores.policies.find(project_id).renames)

    def rename_classes(self, project_id: str, renames: Mapping[str, str]) -> dict[str, str]:
        """Add classes by their old names (old -> new); a new name "" takes one back. Return all of them.

        Raises: NotFoundError for the project, RequestError for a new name that its labeling config does not have.
        """
        self.require(project_id)
        config = self.read_config(project_id, self.label_config(project_id))
        for old, new in renames.items():
            if new and not config.varies and config.label_for(new) is None:
                raise RequestError(
                    f"The labeling config of project {project_id} has no class {new!r}, to which {old!r} is to be "
                    f"renamed; it has {', '.join(config.classes)}."
                )
        known = {**self._stores.policies.find(project_id).renames, **renames}
        kept = {old: new for old, new in known.items() if new}
        self._stores.policies.change(project_id, renames=kept)
        return kept

    def remarks(self, project_id: str) -> list[str]:
        """Return what of the project's labeling config is not supported, and what the live version knows beside it."""
        text = self.label_config(project_id)
        if not text:
            return []
        try:
            config = self.read_config(project_id, text)
        except RequestError as error:
            return [str(error)]
        live = next((each for each in self.published(project_id) if each.name == self.live(project_id)), None)
        unknown = unknown_classes(config, live.facts.classes) if live else []
        return [*config.remarks, *([unknown_sentence(project_id, live.name, unknown)] if live and unknown else [])]

    def all(self) -> list[Project]:
        """Return every project that was set up or has versions, by number."""
        known = {project.id: project for project in self._stores.projects.all()}
        for name in self._stores.models.projects():
            known.setdefault(name, Project(name, ""))
        return sorted(known.values(), key=lambda project: (len(project.id), project.id))

    def require(self, project_id: str) -> None:
        """Raise NotFoundError unless the project was set up or has versions."""
        if not self._is_known(project_id):
            raise NotFoundError(f"Project {project_id} was never set up; connect it in Label Studio first.")

    def require_real(self, project_id: str) -> None:
        """Raise NotFoundError where neither we nor Label Studio know the project."""
        if self._is_made_up(project_id):
            raise NotFoundError(
                f"{self._settings.label_studio_url} has no project {project_id}, so nothing is trained; see whether "
                "LABEL_STUDIO_URL is the Label Studio that the model is connected in."
            )

    def _is_made_up(self, project_id: str) -> bool:
        return not self._is_known(project_id) and self._lookup.is_missing(project_id)

    def _is_known(self, project_id: str) -> bool:
        return self._stores.projects.find(project_id) is not None or bool(self._stores.models.versions(project_id))

    def live(self, project_id: str) -> str | None:
        """Return the version that predicts; None before the first."""
        return self._stores.models.current(project_id)

    def published(self, project_id: str) -> list[Version]:
        """Return all versions, newest first."""
        return self._stores.models.versions(project_id)[::-1]

    def versions(self, project_id: str | None = None) -> list[str]:
        """Return the names of all versions, of one project if it is named; newest first."""
        projects = [project_id] if project_id else self._stores.models.projects()
        return [version.name for name in projects for version in self.published(name)]

    def activate(self, project_id: str, version: str) -> str | None:
        """Let another version predict from the next request on, and begin to write its boxes and masks.

        Returns: why they are not written, a sentence; None where they are.
        Raises: NotFoundError where there is no such version.
        """
        self._stores.models.activate(project_id, version)
        logger.info("project %s: %s is live", project_id, version)
        if not self._settings.preannotate:
            return "PREANNOTATE is 0."
        try:
            self._queue.begin_preannotation(project_id, version)
        except QueueError as error:  # the version is live all the same
            logger.warning("project %s: the predictions of %s are not written: %s", project_id, version, error)
            return str(error)
        return None

    def parent(self, project_id: str) -> str:
        """Return the version that was live before the live one was made, which a rollback activates.

        Raises: RegistryError where there is no such version, or none any more.
        """
        live, versions = self.live(project_id), {version.name: version for version in self.published(project_id)}
        if live is None or live not in versions:
            raise RegistryError(f"Project {project_id} has no live version, so there is none to go back from.")
        parent = versions[live].facts.parent
        if not parent:
            raise RegistryError(f"{live} is the first version of project {project_id}, so there is none to go back to.")
        if parent not in versions:
            raise RegistryError(
                f"{parent}, from which {live} came, was deleted; `boxstrap models list {project_id}` shows those there "
                f"are, `boxstrap models activate {project_id} VERSION` makes one live."
            )
        return parent

    def notices(self) -> list[str]:
        """Return what is wrong with files and disks, each in a sentence with its path and what to do."""
        return self._stores.notices()

    def _remember(self, project: Project) -> None:
        try:
            self._stores.projects.remember(project)
        except StorageError as error:  # Label Studio says it again; it must not lose its backend for a full disk
            logger.warning("project %s is not kept: %s", project.id, error)

    def preannotation(self, project_id: str) -> PreannotationProgress | None:
        """Return how far the newest pre-annotation is."""
        return self._queue.progress.of_preannotation(project_id)
