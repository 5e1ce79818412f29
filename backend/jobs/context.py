"""The stores, queue, images and models that every job uses, opened once in a process."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from backend.errors import LabelStudioError
from backend.images.image_store import ImageStore
from backend.jobs.model_cache import ModelCache
from backend.labelstudio.client import LabelStudioClient
from backend.queueing.connection import connect
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores, open_stores

MB = 2**20


@dataclass(frozen=True, slots=True)
class JobContext:
    """`client` is None where the settings name no Label Studio."""

    settings: Settings
    stores: Stores
    queue: JobQueue
    media: ImageStore
    models: ModelCache
    client: LabelStudioClient | None

    def label_studio(self) -> LabelStudioClient:
        """Return the client. Raises: LabelStudioError if the settings lack something for it."""
        if self.client is None:
            raise LabelStudioError(
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not both set, so tasks cannot be read from Label "
                "Studio; set them for every worker and start it again."
            )
        return self.client


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
