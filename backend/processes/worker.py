"""The two kinds of workers. What they run is in jobs/; the queues are in queueing/queue.py.

Training forks a process per job: it can be stopped at once, and its memory, the GPU's too, goes back when it ends.
Prediction runs in the worker itself, so that models stay loaded. What is written for whole projects has a process of
its own beside it: a Label Studio that does not answer keeps no person waiting.
"""

from __future__ import annotations

import importlib
import logging
import signal
import socket
from collections.abc import Sequence

from backend.errors import QueueError
from backend.processes.guardian import Guardian
from backend.processes.malloc import give_back_large_blocks, limit_malloc_arenas
from backend.processes.parent_death import die_with_parent
from backend.queueing.connection import connect, where
from backend.queueing.queue import BULK, JOBS, PREDICT, TRAIN, JobQueue
from backend.queueing.rq_workers import ForkingWorker, InlineWorker, PatientWorker
from backend.settings import Settings
from backend.storage.files import keep_private

logger = logging.getLogger(__name__)

# Kind -> the queues of each of its processes.
KINDS: dict[str, tuple[tuple[str, ...], ...]] = {"train": ((TRAIN,),), "predict": ((PREDICT,), (BULK,))}
MODULES = {TRAIN: ("train",), PREDICT: ("predict",), BULK: ("preannotate", "sync_annotations")}  # of jobs/


class TrainWorker(ForkingWorker):
    """A fork dies with its worker, so that no training runs twice."""

    def begin_fork(self) -> None:
        """Called in each fork before its job."""
        die_with_parent(self.pid, signal.SIGKILL)


def make_worker(queues: Sequence[str], settings: Settings) -> PatientWorker:
    """A worker of some queues, connected; trainings have a kind of their own."""
    worker_class: type[PatientWorker] = TrainWorker if TRAIN in queues else InlineWorker
    return worker_class.on(queues, connect(settings))


def run_worker(queues: Sequence[str], settings: Settings) -> None:
    """Work until told to end: SIGTERM or Ctrl-C lets predictions finish and trainings save, then the worker ends.

    Raises: QueueError where Redis cannot be reached at the start; later it is waited for.
    """
    keep_private(settings.home)
    if TRAIN not in queues:
        limit_malloc_arenas()
        give_back_large_blocks()
    require_redis(settings)
    load_jobs(queues)
    worker = make_worker(queues, settings)
    logger.info("worker %s: waiting for %s on %s", worker.name, " and ".join(queues), where(settings))
    # RQ's own lines about every job, which is looked for once a minute, tell nothing that ours do not.
    worker.work(logging_level=settings.log_level if settings.log_level == "DEBUG" else "WARNING")


def guard_workers(kinds: Sequence[str], settings: Settings) -> None:
    """Run the processes of some kinds until told to end; one that dies is back at once.

    Raises: QueueError where Redis cannot be reached at the start.
    """

    def declare_dead(pid: int) -> None:
        connection = connect(settings)
        try:
            JobQueue(connection).declare_dead(socket.gethostname(), pid)
        finally:
            connection.close()

    require_redis(settings)
    groups = [queues for kind in kinds for queues in KINDS[kind]]
    Guardian(groups, lambda queues: run_worker(queues, settings), declare_dead).run()


def load_jobs(queues: Sequence[str]) -> None:
    """Load what jobs of the queues need: torch takes seconds, better now than in the first job or in every fork."""
    for name in (name for queue in queues for name in MODULES[queue]):
        importlib.import_module(f"{JOBS}.{name}")


def require_redis(settings: Settings) -> None:
    """Raise QueueError, naming the server, unless it answers. Leaves no connection open, which a fork would share."""
    connection = connect(settings)
    try:
        JobQueue(connection).ping()
    except QueueError as error:
        raise QueueError(f"{where(settings)}: {error}") from error
    finally:
        connection.close()
