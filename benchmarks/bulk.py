"""Pre-annotation of a large project in a real Label Studio, of new tasks and again by the next version: its rate, and
the memory of the worker.

    python -m benchmarks.bulk [--tasks 10000] [--backbone mobilenet_v2]

Label Studio is the one that `make test` installs. Its tasks share 200 drawn pictures, each under addresses of its own
(`?copy=N`), so every task costs a download, a place in the cache and a decoding, as it would otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from backend.errors import QueueError
from backend.labelstudio.client import LabelStudioClient
from backend.processes.redis_server import server_command
from backend.queueing.connection import connect
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.version_facts import VersionFacts
from backend.wiring import Parts, build
from benchmarks.serving import CONFIG, draw_pictures, memory_mib, process, publish
from benchmarks.timing import machine
from demo.label_studio_server import LabelStudioServer, Login
from demo.local_servers import free_port
from demo.project import DemoProject
from tests.local_http import web_server

PICTURES = 200
LOGIN = Login("bench@example.com", "bench-Passw0rd", "0123456789abcdef0123456789abcdef01234567")
PROGRAM = Path("build/label-studio/bin/label-studio")


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--backbone", default="mobilenet_v2")
    arguments = parser.parse_args()
    print(f"{machine()}, {arguments.backbone}, {arguments.tasks} tasks", flush=True)
    with tempfile.TemporaryDirectory(prefix="bx") as folder, ExitStack() as running:
        home = Path(folder)
        pictures = draw_pictures(home / "drawn", PICTURES)
        web = running.enter_context(web_server(home / "drawn"))
        server = LabelStudioServer(PROGRAM.absolute(), home / "label-studio", free_port(8080), LOGIN)
        running.callback(server.stop)
        server.start()
        addresses = [f"{web}/{path.relative_to(home / 'drawn')}" for path in pictures]
        project = make_project(server.url, addresses, arguments.tasks)
        publish(home, arguments.backbone, project)
        settings = Settings(home=home, label_studio_url=server.url, label_studio_api_key=LOGIN.token)
        environment = {
            **os.environ,
            "BOXSTRAP_HOME": folder,
            "IMAGE_HOSTS": "127.0.0.1",
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": LOGIN.token,
        }
        running.enter_context(process(server_command(home), environment))
        queue = JobQueue(connect(settings))
        wait(lambda: answers(queue), "Redis answers")
        worker = running.enter_context(process([sys.executable, "-m", "backend", "worker", "predict"], environment))
        wait(lambda: bool(queue.workers()), "the worker waits")
        parts, idle_mib = build(settings), memory_mib(worker.pid)
        with closing(LabelStudioClient(server.url, LOGIN.token)) as client:
            for what in ("new", "in the place of old ones"):
                seconds, peak_mib = preannotate(parts, project, worker.pid)
                stored = sum(client.model_versions(project).values())
                print(f"{what}: {seconds:.0f} s, {arguments.tasks / seconds:.1f} tasks/s, {stored} stored")
                print(f"the worker: {idle_mib:.0f} MiB before, {peak_mib:.0f} MiB at most", flush=True)
                parts.stores.models.publish(project, home / "model", VersionFacts(run=what))


def preannotate(parts: Parts, project: str, worker: int) -> tuple[float, float]:
    """Seconds of the live version's pre-annotation, and the most memory that the worker had meanwhile."""
    peak_mib, begin = 0.0, time.monotonic()
    version = parts.stores.models.current(project)
    parts.services.training.preannotate(project)
    while True:
        peak_mib = max(peak_mib, memory_mib(worker))
        progress = parts.queue.progress.of_preannotation(project)
        if progress is not None and progress.ended and progress.version == version:
            return time.monotonic() - begin, peak_mib
        time.sleep(1)


def make_project(url: str, addresses: list[str], tasks: int) -> str:
    """A project of so many tasks; its number."""
    with closing(DemoProject(url, LOGIN.token)) as label_studio:
        project = label_studio.make("bulk", CONFIG)
        for start in range(0, tasks, 1000):
            batch = [
                {"image": f"{addresses[index % len(addresses)]}?copy={index}"}
                for index in range(start, min(start + 1000, tasks))
            ]
            label_studio.import_tasks(project, batch)
    return str(project)


def answers(queue: JobQueue) -> bool:
    """Whether Redis is there."""
    try:
        queue.ping()
    except QueueError:
        return False
    return True


def wait(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within two minutes")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
