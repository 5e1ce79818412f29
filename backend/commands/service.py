"""`boxstrap serve`, `worker` and `up`: the processes of the service."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Annotated
from urllib.error import URLError
from urllib.request import urlopen

import typer

from backend.commands.options import each_one_of, examples
from backend.errors import BackendError, QueueError
from backend.processes.malloc import limit_malloc_arenas
from backend.settings import Settings
from backend.terminal import log_to_stderr, say, write_result

START_S = 300.0  # for each process, on a slow machine
SERVE_EXAMPLES = examples("boxstrap serve", "BASIC_AUTH_USER=me BASIC_AUTH_PASS=secret boxstrap serve --host 0.0.0.0")
WORKER_EXAMPLES = examples("boxstrap worker predict", "CUDA_VISIBLE_DEVICES=1 boxstrap worker train")
REDIS_SAVES_S = 120.0  # what it has not written yet when it is asked to end
UP_EXAMPLES = examples(
    "boxstrap up",
    "LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_API_KEY=... boxstrap up",
)

HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="BOXSTRAP_HOST")]
StandbyOption = Annotated[
    bool, typer.Option("--standby", hidden=True, help="Load everything, then wait for a line on stdin to begin.")
]
PortOption = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="Port to listen on.", show_default="BOXSTRAP_PORT")
]


def serve(host: HostOption = None, port: PortOption = None, standby: StandbyOption = False) -> None:
    """Run the web server that Label Studio calls. Needs Redis, and workers for trainings and predictions."""
    from backend.web.connections import make_server
    from backend.wiring import build_app

    settings = Settings.from_env()
    log_to_stderr(settings.log_level)
    limit_malloc_arenas()
    if not standby or sys.stdin.readline():
        check_address(host or settings.host, port or settings.port)
        make_server(build_app(settings), host or settings.host, port or settings.port).run()


def worker(
    kinds: Annotated[
        list[str],
        typer.Argument(
            metavar="predict|train",
            callback=each_one_of(("predict", "train")),
            help="Which jobs it runs.",
        ),
    ],
    standby: StandbyOption = False,
) -> None:
    """Run jobs: predictions, with models kept loaded, or trainings, a process each. What dies is back at once."""
    from backend.processes.worker import KINDS, guard_workers, load_jobs

    settings = Settings.from_env()
    log_to_stderr(settings.log_level)
    load_jobs([name for kind in kinds for queues in KINDS[kind] for name in queues])
    if not standby or sys.stdin.readline():
        guard_workers(kinds, settings)


def up(host: HostOption = None, port: PortOption = None) -> None:
    """Start everything on this machine: Redis (unless REDIS_URL is set), serve and both workers. Ctrl-C stops all."""
    from backend.processes.redis_server import put_damaged_aside, server_command
    from backend.processes.supervisor import Child, Supervisor
    from backend.services.connector import Connector
    from backend.storage.files import keep_private, locked
    from backend.storage.stores import open_stores

    settings = Settings.from_env()
    log_to_stderr(settings.log_level)
    keep_private(settings.home)
    address, number = host or settings.host, port or settings.port
    check_address(address, number)
    own, where_to = [sys.executable, "-m", "backend"], ["--host", address, "--port", str(number)]
    children = [
        Child("serve", [*own, "serve", *where_to, "--standby"], lambda: _answers(address, number), standby=True),
        Child("workers", [*own, "worker", "predict", "train", "--standby"], lambda: _work(settings), standby=True),
    ]
    if settings.redis_url is None:
        redis = Child(
            "redis",
            server_command(settings.home),
            lambda: _redis_answers(settings),
            lambda: put_damaged_aside(settings.home),
            grace_s=REDIS_SAVES_S,
        )
        children.insert(0, redis)
    with locked(settings.home / ".up-lock", wait=False) as alone:
        if not alone:
            raise BackendError(f"Boxstrap is up already in {settings.home}; stop it, or set another BOXSTRAP_HOME.")
        supervisor = Supervisor(children)
        for number_of in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number_of, lambda *_: supervisor.stop())
        where = f"http://{address}:{number}"
        say(f"Boxstrap starts at {where}; its workers take up to a minute to load.")
        supervisor.start(START_S)
        write_result("Boxstrap is up", {"address": where, "data": str(settings.home), "models": str(settings.models)})
        say(f"In Label Studio: Settings, Model, Connect Model, Backend URL {where}. Ctrl-C stops everything.")
        # Projects of `boxstrap import`, which could not be connected before there was anybody to connect to.
        with Connector(settings, open_stores(settings), lambda project: say(f"Project {project} is connected.")):
            supervisor.run()
        say("Everything has stopped.")


def check_address(host: str, port: int) -> None:
    """Raise BackendError, which says what to do, where nobody can listen on `host` and `port`."""
    if not 0 < port < 65536:
        raise BackendError(f"Boxstrap cannot listen on {host}:{port}: ports are numbers from 1 to 65535, such as 9090.")
    try:
        for family, kind, _, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(where)
    except OSError as error:
        reason = error.strerror or error
        raise BackendError(
            f"Boxstrap cannot listen on {host}:{port}: {reason}. Stop what uses that port, or choose another address "
            "with --host and --port, or by BOXSTRAP_HOST and BOXSTRAP_PORT."
        ) from error


def _work(settings: Settings) -> bool:
    """Return whether workers of this machine wait for jobs of every queue."""
    from backend.queueing.connection import connect
    from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue

    queue = JobQueue(connect(settings))
    try:
        found = [
            worker for worker in queue.workers() if worker.hostname == socket.gethostname() and is_alive(worker.pid)
        ]
    except QueueError:
        return False
    finally:
        queue.connection.close()
    return {TRAIN, PREDICT, BULK} <= {name for worker in found for name in worker.queue_names()}


def is_alive(pid: int | None) -> bool:
    """Return whether there is a process of that number; Redis remembers those that were killed for a while."""
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return pid is not None


def _answers(host: str, port: int) -> bool:
    try:
        with urlopen(f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/health", timeout=1) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def _redis_answers(settings: Settings) -> bool:
    from backend.queueing.connection import connect
    from backend.queueing.queue import JobQueue

    try:
        JobQueue(connect(settings)).ping()
    except QueueError:
        return False
    return True
