"""What the tests of jobs run for real: a Redis of their own, workers as processes, and waiting that always ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.processes.redis_server import server_command
from backend.processes.supervisor import Child, Supervisor
from backend.queueing.connection import connect, redis_url
from backend.queueing.queue import BULK, JobQueue
from backend.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
LONGEST_S = 60.0

Found = TypeVar("Found")


def wait_for(what: Callable[[], Found], longest_s: float = LONGEST_S, every_s: float = 0.05) -> Found:
    """The first true value of `what`."""
    deadline = time.monotonic() + longest_s
    while True:
        if found := what():
            return found
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(every_s)


class RedisServer:
    """An embedded server in `home`."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self.url = redis_url(self.settings)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(server_command(self.settings.home), stdout=subprocess.DEVNULL)
        wait_for(self.answers, 10)

    def answers(self) -> bool:
        connection = connect(self.settings)
        try:
            return bool(connection.ping())
        except Exception:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        end(self._process)


def end(process: subprocess.Popen[bytes] | None, number: signal.Signals = signal.SIGKILL) -> None:
    """Ends a process that a test has started, if it still runs, and waits for that."""
    if process is not None and process.poll() is None:
        process.send_signal(number)
        process.wait(20)


NURSERY = """
import json, os, sys
import backend.jobs.predict, backend.jobs.preannotate, backend.jobs.train
from backend.processes.worker import guard_workers, run_worker
from backend.settings import Settings
from backend.terminal import log_to_stderr

QUEUES = {"train": ("boxstrap-train",), "predict": ("boxstrap-predict", "boxstrap-bulk")}
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.environ.update(order["environment"])
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(log, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        exec(order["before"], {})
        settings = Settings.from_env()
        log_to_stderr(settings.log_level)
        if order["kind"] in QUEUES:
            run_worker(QUEUES[order["kind"]], settings)
        else:
            guard_workers(order["kind"].split()[1:], settings)
        os._exit(0)
    print(pid, flush=True)
"""


class Nursery:
    """A process that has loaded torch, and forks workers when told to: each is there at once, not after seconds."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fork(self, **order: object) -> int:
        """The process id of a worker."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        return int(self._process.stdout.readline() if said == "ready\n" else said)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class Workers:
    """Worker processes of a test, each in a session of its own, all ended with it. Their logs are one file."""

    def __init__(self, nursery: Nursery, environment: dict[str, str], log: Path) -> None:
        self._nursery, self._environment, self._log = nursery, environment, log
        self._pids: list[int] = []

    def start(self, kind: str = "train", before: str = "") -> int:
        """A worker's process id; of kind "guarded predict", that of a guardian, as `boxstrap worker predict` starts.

        Args: before: Python to run in the process first.
        """
        order = {"kind": kind, "before": before, "environment": self._environment, "log": str(self._log)}
        self._pids.append(self._nursery.fork(**order))
        return self._pids[-1]

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Kills a worker and what it forked, and waits for their end."""
        family = [pid, *children_of(pid)]
        for member in family:
            if is_running(member):
                os.kill(member, number)
        wait_for(lambda: not any(map(is_running, family)))

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def end(self) -> None:
        for pid in self._pids:
            self.kill(pid)


def children_of(pid: int) -> list[int]:
    """Processes that a process has forked."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def is_running(pid: int) -> bool:
    """Whether any of its threads is; the first may have died, while Redis still gives a job to the process's socket."""
    return any(_is_alive(thread) for thread in Path(f"/proc/{pid}/task").glob("*/stat"))


def _is_alive(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def queue_of(settings: Settings) -> Iterator[JobQueue]:
    """The queues in a Redis, whose connections are closed in the end."""
    connection = connect(settings)
    try:
        yield JobQueue(connection)
    finally:
        connection.close()


def bulk_jobs(queue: JobQueue) -> list[Job]:
    """Chunks that wait or run."""
    bulk = Queue(BULK, connection=queue.connection, serializer=JSONSerializer)
    registries = (bulk.started_job_registry, bulk.scheduled_job_registry)
    names = [*bulk.job_ids, *(name for found in registries for name in found.get_job_ids(cleanup=False))]
    return [job for name in names if (job := bulk.fetch_job(name)) is not None]


@contextmanager
def supervised(children: Sequence[Child], timeout_s: float = 30) -> Iterator[Supervisor]:
    """Watches children in a thread, and ends them."""
    supervisor = Supervisor(children)
    supervisor.start(timeout_s)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        thread.join()


def pid_of(child: Child) -> int:
    return wait_for(lambda: child.process and child.process.pid) or 0
