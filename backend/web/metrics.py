"""/metrics for Prometheus: jobs and workers, and each project's trainings, versions and corrections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from backend.services.monitoring import MonitoringService, ProjectFigures
from backend.services.status import Status, StatusService

Key = TypeVar("Key", bound=tuple[str, ...])  # the values of a gauge's labels

PROJECT = "project"
# What a running training reports -> metric and help.
PROGRESS = {
    "share": ("boxstrap_training_share", "Share of the running training that is done, 0 to 1"),
    "seconds_left": (
        "boxstrap_training_seconds_left",
        "Seconds until the running training has written its predictions",
    ),
    "loss": ("boxstrap_training_loss", "Loss of the running training's last step"),
    "images_per_s": ("boxstrap_training_images_per_second", "Images a second that the running training learns from"),
}


class BoxstrapCollector(Collector):
    """Everything is asked for when Prometheus asks."""

    def __init__(self, status: StatusService, monitoring: MonitoringService) -> None:
        self._status, self._monitoring = status, monitoring

    def collect(self) -> Iterable[Metric]:
        """`boxstrap_redis_up` is 0 where Redis does not answer or takes no writes; jobs are unknown then."""
        now = self._status.now()
        yield from _queues(now)
        figures = self._monitoring.figures(now.redis_up)
        yield from _trainings(figures)
        yield from _versions(figures)
        yield from _corrections(figures)


def metrics_page(status: StatusService, monitoring: MonitoringService) -> Callable[[], Response]:
    """Return the handler of GET /metrics."""
    registry = CollectorRegistry()
    registry.register(BoxstrapCollector(status, monitoring))

    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return metrics


def _queues(now: Status) -> Iterable[Metric]:
    yield GaugeMetricFamily("boxstrap_redis_up", "Whether Redis answers and takes writes", value=float(now.redis_up))
    jobs = {(queue, state): count for queue, states in now.jobs.items() for state, count in states.items()}
    yield _gauge("boxstrap_jobs", "Jobs by queue and state", ("queue", "state"), jobs)
    workers = {(queue,): count for queue, count in now.workers.items()}
    yield _gauge("boxstrap_workers", "Living workers by queue", ("queue",), workers)


def _trainings(figures: Iterable[ProjectFigures]) -> Iterable[Metric]:
    runs = {(each.project, state): count for each in figures for state, count in each.runs.items()}
    yield _gauge("boxstrap_trainings", "Trainings by how they stand", (PROJECT, "state"), runs)
    seconds = {(each.project,): each.training_s for each in figures if each.training_s is not None}
    yield _gauge("boxstrap_last_training_seconds", "Seconds of the last training with a version", (PROJECT,), seconds)
    for key, (name, text) in PROGRESS.items():
        reported = {(each.project,): each.progress[key] for each in figures if key in each.progress}
        yield _gauge(name, text, (PROJECT,), reported)


def _versions(figures: Iterable[ProjectFigures]) -> Iterable[Metric]:
    published = {(each.project,): each.versions for each in figures}
    yield _gauge("boxstrap_versions", "Published versions", (PROJECT,), published)
    live = {(each.project,): each.live for each in figures if each.live is not None}
    yield _gauge("boxstrap_live_version", "Number of the version that predicts", (PROJECT,), live)
    metrics = {(each.project, name): value for each in figures for name, value in each.metrics.items()}
    yield _gauge("boxstrap_live_version_metric", "What its training measured", (PROJECT, "metric"), metrics)


def _corrections(figures: Iterable[ProjectFigures]) -> Iterable[Metric]:
    known = [(each.project, each.corrections) for each in figures if each.corrections is not None]
    tasks = {(project, outcome): count for project, found in known for outcome, count in found.outcomes.items()}
    yield _gauge("boxstrap_tasks", "Annotated tasks by what people made of them", (PROJECT, "outcome"), tasks)
    new = {(project,): found.corrected for project, found in known}
    yield _gauge("boxstrap_new_corrections", "Tasks corrected since the last training", (PROJECT,), new)
    objects = {(project, *key): count for project, found in known for key, count in found.fates.items()}
    text = "Objects by version and what people made of them; added ones were missed"
    yield _gauge("boxstrap_objects", text, (PROJECT, "version", "fate"), objects)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Mapping[Key, float]) -> Metric:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        gauge.add_metric(key, value)
    return gauge
