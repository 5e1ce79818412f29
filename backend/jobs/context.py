"""The stores, queue, images and models that every job uses, opened once in a process."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, field

from backend.errors import DamagedFileError, LabelStudioError
from backend.images.image_store import ImageStore
from backend.jobs.model_cache import ModelCache
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.label_config import LabelConfig
from backend.queueing.connection import connect
from backend.queueing.queue import JobQueue
from backend.reports.people_costs import people_costs
from backend.settings import Settings
from backend.storage.stores import Stores, open_stores
from wsol_core.errors import CheckpointError
from wsol_core.localization.model_folder import check_model
from wsol_core.localization.predictor import Predictor
from wsol_core.localization.worth import Costs

logger = logging.getLogger(__name__)

MB = 2**20
TIMED_TASKS = 500  # the newest ones say what regions cost now: people get faster


@dataclass(frozen=True, slots=True)
class JobContext:
    """`client` is None where the settings name no Label Studio."""

    settings: Settings
    stores: Stores
    queue: JobQueue
    media: ImageStore
    models: ModelCache
    client: LabelStudioClient | None
    known_costs: dict[tuple[str, str, Costs], Costs] = field(default_factory=dict)

    def label_config(self, project_id: str, xml: str) -> LabelConfig:
        """Return a project's labeling config, with the classes that its policy renames.

        What of it is not supported is logged, once in a process. Raises: RequestError where it has no meaning.
        """
        config = LabelConfig.parse(xml, self.stores.policies.find(project_id).renames)
        for remark in config.remarks:
            warn_once(project_id, remark)
        return config

    def score_threshold(self, project_id: str, version: str) -> float | None:
        """Return from which score on regions are shown; None where nobody says, so that those are that save time.

        Of a first look all are shown: it is there to be looked at.
        """
        chosen = self.stores.policies.find(project_id).score_threshold
        if chosen is None and self.settings.score_threshold is None:
            return 0.0 if self._is_first_look(project_id, version) else None
        return self.settings.score_threshold if chosen is None else chosen

    def costs(self, project_id: str, version: str, published: Costs) -> Costs:
        """Return what a region costs the project's people, by their own times as soon as there are enough.

        They are looked up once for a version, so that all of its predictions follow one rule.
        """
        key = project_id, version, published
        if key not in self.known_costs:
            own = None
            try:
                own = people_costs(self.stores.feedback.newest_reviewed(project_id, TIMED_TASKS), published)
            except DamagedFileError as error:
                logger.warning("project %s: published times are taken for people's own: %s", project_id, error)
            if own is not None:
                logger.info("project %s: what regions of %s cost people: %s", project_id, version, own)
            self.known_costs[key] = own or published
        return self.known_costs[key]

    def label_studio(self) -> LabelStudioClient:
        """Return the client. Raises: LabelStudioError if the settings lack something for it."""
        if self.client is None:
            raise LabelStudioError(
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not both set, so tasks cannot be read from Label "
                "Studio; set them for every worker and start it again."
            )
        return self.client

    def predictor(self, project_id: str, version: str) -> tuple[str, Predictor]:
        """Return the version's predictor, or that of the one that is live instead where its files are damaged.

        Returns: the version's name, and the predictor.
        Raises: CheckpointError where no version can be loaded.
        """
        while True:
            try:
                return version, self.models.get(self.stores.models.folder(project_id, version))
            except CheckpointError as error:
                version = self._other_than(project_id, version, error)

    def live_model(self, project_id: str) -> str | None:
        """Return the live version, whose files have been read and are as they were written; None before the first."""
        while (live := self.stores.models.current(project_id)) is not None:
            try:
                check_model(self.stores.models.folder(project_id, live))
                return live
            except CheckpointError as error:
                self._refuse(project_id, live, error)
        return None

    def _is_first_look(self, project_id: str, version: str) -> bool:
        try:
            return self.stores.models.facts(project_id, version).is_first_look
        except DamagedFileError:  # its model may be whole all the same
            return False

    def _other_than(self, project_id: str, version: str, error: CheckpointError) -> str:
        """Return the version that is live once `version` is known to be damaged. Raises: `error` where none is."""
        self._refuse(project_id, version, error)
        live = self.stores.models.current(project_id)
        if live is None or live == version:
            raise error
        return live

    def _refuse(self, project_id: str, version: str, error: CheckpointError) -> None:
        may_pass = isinstance(error.__cause__, OSError)  # such as a network file system that is away for a moment
        self.stores.models.refuse(project_id, version, str(error), for_all=not may_pass)


@functools.lru_cache(maxsize=1000)
def warn_once(project_id: str, sentence: str) -> None:
    """Log a sentence about a project, the first time in this process."""
    logger.warning("project %s: %s", project_id, sentence)


@functools.cache
def job_context() -> JobContext:
    """Return the context of this process."""
    settings = Settings.from_env()
    client = None
    if settings.label_studio_url and settings.label_studio_api_key:
        client = LabelStudioClient(settings.label_studio_url, settings.label_studio_api_key)
    return JobContext(
        settings=settings,
        stores=open_stores(settings),
        queue=JobQueue(connect(settings)),
        media=ImageStore.from_settings(settings, client),
        models=ModelCache(settings.model_cache_mb * MB, settings.device),
        client=client,
    )
