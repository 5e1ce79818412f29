"""The two kinds of workers. What they run is in jobs/; the queues are in queueing/queue.py.

Training forks a process per job: it can be stopped at once, and its memory, the GPU's too, goes back when it ends.
Prediction runs in the worker itself, so that models stay loaded.
"""

from __future__ import annotations

import importlib
import logging
import signal

from backend.errors import QueueError
from backend.processes.malloc import keep_freed_memory
from backend.processes.parent_death import die_with_parent
from backend.queueing.connection import connect, where
from backend.queueing.queue import BULK, JOBS, PREDICT, TRAIN, JobQueue
from backend.queueing.rq_adapter import ForkingWorker, InlineWorker, PatientWorker
from backend.settings import Settings

logger = logging.getLogger(__name__)


class TrainWorker(ForkingWorker):
    """A fork dies with its worker, so that no training runs twice."""

    def begin_fork(self) -> None:
        """Called in each fork before its job."""
        die_with_parent(self.pid, signal.SIGKILL)


# Kind -> worker class, queues in their order, modules of jobs/.
KINDS: dict[str, tuple[type[PatientWorker], tuple[str, ...], tuple[str, ...]]] = {
    "train": (TrainWorker, (TRAIN,), ("train",)),
    "predict": (InlineWorker, (PREDICT, BULK), ("predict", "preannotate")),
}


def make_worker(kind: str, settings: Settings) -> PatientWorker:
    """A worker of a kind, "train" or "predict", connected."""
    worker_class, names, _ = KINDS[kind]
    return worker_class.on(names, connect(settings))


def run_worker(kind: str, settings: Settings) -> None:
    """Work until told to end: SIGTERM or Ctrl-C lets predictions finish and trainings save, then the worker ends.

    Raises: QueueError where Redis cannot be reached at the start; later it is waited for.
    """
    _, names, modules = KINDS[kind]
    try:
        JobQueue(connect(settings)).ping()
    except QueueError as error:
        raise QueueError(f"{where(settings)}: {error}") from error
    for name in modules:  # loading torch takes seconds; better now than in the first job, or in every fork
        importlib.import_module(f"{JOBS}.{name}")
    if kind == "train":
        keep_freed_memory()
    worker = make_worker(kind, settings)
    logger.info("worker %s: %s, waiting for %s on %s", worker.name, kind, " and ".join(names), where(settings))
    worker.work(logging_level=settings.log_level)
