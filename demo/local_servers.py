"""What it takes to run a server as a process on this machine: a port that is free, and to wait until it answers."""

from __future__ import annotations

import socket
import subprocess
import time

import httpx


def free_port(wanted: int = 0) -> int:
    """`wanted`, or another one where that is taken; any one by default."""
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise RuntimeError("No port is free on 127.0.0.1.")


def comes_up(url: str, process: subprocess.Popen[bytes], longest_s: float, every_s: float = 0.2) -> bool:
    """Waits until /health below `url` answers; False when the process has ended before, or the time is up."""
    deadline = time.monotonic() + longest_s
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
