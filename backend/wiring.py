"""Puts the parts together, for the web application and for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from backend.images.image_store import ImageStore
from backend.queueing.connection import QUICKLY_S, connect
from backend.queueing.janitor import Janitor
from backend.queueing.queue import JobQueue
from backend.reports.report import ReportService
from backend.services.monitoring import MonitoringService
from backend.services.predictions import PredictionService
from backend.services.project_page import ProjectPages
from backend.services.projects import ProjectService
from backend.services.retraining import RetrainingService
from backend.services.retraining_scheduler import RetrainingScheduler
from backend.services.status import StatusService
from backend.services.training import TrainingService
from backend.settings import Settings
from backend.storage.files import keep_private
from backend.storage.stores import Stores, open_stores
from backend.web.app import create_app
from backend.web.metrics import metrics_page
from backend.web.services import Services


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the service is made of, but for HTTP and torch."""

    settings: Settings
    stores: Stores
    queue: JobQueue
    media: ImageStore
    services: Services


def build(settings: Settings) -> Parts:
    """Nothing is connected to before it is needed. What the process writes from now on is private."""
    keep_private(settings.home)
    stores, queue = open_stores(settings), JobQueue(connect(settings, QUICKLY_S), connect(settings))
    media = ImageStore.from_settings(settings, None)  # only for pictures that come inside of tasks
    projects, training = ProjectService(settings, stores, queue), TrainingService(settings, stores, queue)
    retraining = RetrainingService(settings, stores, queue, projects, training)
    services = Services(
        projects,
        training,
        PredictionService(settings, stores, queue, media),
        StatusService(queue),
        retraining,
        reports=ReportService(stores),
        pages=ProjectPages(stores, projects, retraining),
    )
    return Parts(settings, stores, queue, media, services)


def build_app(settings: Settings) -> FastAPI:
    """The web application, with a janitor and a retraining scheduler in threads of its process."""
    parts = build(settings)
    services = parts.services
    monitoring = MonitoringService(services.projects, services.training, services.retraining, parts.stores.feedback)
    return create_app(settings, services, metrics_page(services.status, monitoring), background_threads(parts))


@contextmanager
def background_threads(parts: Parts) -> Iterator[None]:
    """The threads of every web process: a janitor and a retraining scheduler, which take turns with those of others."""
    with Janitor(parts.queue, parts.stores.runs), RetrainingScheduler(parts.queue, parts.services.retraining):
        yield
