"""/metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from backend.services.status import StatusService


class StatusCollector(Collector):
    """Jobs and workers of every queue, asked for when Prometheus asks."""

    def __init__(self, status: StatusService) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """`boxstrap_redis_up` is 0 where Redis does not answer; nothing else is known then."""
        now = self._status.now()
        up = GaugeMetricFamily("boxstrap_redis_up", "Whether Redis answers", value=float(now.redis_up))
        jobs = GaugeMetricFamily("boxstrap_jobs", "Jobs by queue and state", labels=["queue", "state"])
        workers = GaugeMetricFamily("boxstrap_workers", "Living workers by queue", labels=["queue"])
        for queue, states in now.jobs.items():
            for state, count in states.items():
                jobs.add_metric([queue, state], count)
        for queue, count in now.workers.items():
            workers.add_metric([queue], count)
        return up, jobs, workers


def metrics_page(status: StatusService) -> Callable[[], Response]:
    """Return the handler of GET /metrics."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(status))

    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return metrics
