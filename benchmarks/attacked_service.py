"""A `boxstrap serve` and a `boxstrap worker predict` with few descriptors and a tiny model, to be attacked."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from backend.processes.redis_server import server_command
from backend.settings import Settings
from backend.storage.stores import open_stores
from backend.storage.version_facts import VersionFacts
from benchmarks.serving import PROJECT
from demo.local_servers import comes_up, free_port
from tests.local_http import answering, send
from wsol_core.config import TrainConfig
from wsol_core.data.folder import read_folder
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.training.fit import fit

DESCRIPTORS = 128
OF_MALFORMED = "7"  # the project that malformed requests are about
TOKEN = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class AttackedService:
    """Where it is, what it writes, and its processes; and the pictures that two further servers have for it."""

    url: str
    logs: list[Path]
    pids: dict[str, int]
    label_studio: str
    web: str
    pictures: dict[str, bytes] = field(default_factory=dict)

    def uploaded(self, content: bytes) -> str:
        """The path of a picture that somebody has uploaded to Label Studio."""
        return self._kept(f"/data/upload/{PROJECT}/{len(self.pictures)}.png", content)

    def elsewhere(self, content: bytes) -> str:
        """The address of a picture on a server of the web."""
        return self.web + self._kept(f"/{len(self.pictures)}.png", content)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """A request for a picture; none is kept after that."""
        content = self.pictures.pop(handler.path, None)
        send(handler, 404) if content is None else send(handler, 200, content)

    def _kept(self, path: str, content: bytes) -> str:
        path = path.replace(".png", f"-{os.urandom(4).hex()}.png")
        self.pictures[path] = content
        return path


@contextmanager
def attacked_service() -> Iterator[AttackedService]:
    """Everything that is needed, in a folder that goes in the end."""
    with tempfile.TemporaryDirectory(prefix="bx") as folder, ExitStack() as running:
        home, port = Path(folder), free_port()
        service = AttackedService(f"http://127.0.0.1:{port}", [], {}, "", "")
        service.label_studio = running.enter_context(answering(service.answer))
        service.web = running.enter_context(answering(service.answer))
        _publish(home)
        environment = {
            **os.environ,
            "BOXSTRAP_HOME": folder,
            "BOXSTRAP_PORT": str(port),
            "DEVICE": "cpu",
            "LABEL_STUDIO_URL": service.label_studio,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "IMAGE_HOSTS": service.web,
            "BOXSTRAP_ALLOWED_HOSTS": "a,x,evil.example",  # of malformed requests, which would get no further otherwise
        }
        own = [sys.executable, "-m", "backend"]
        commands = {"redis": server_command(home), "serve": [*own, "serve"], "worker": [*own, "worker", "predict"]}
        for name, command in commands.items():
            log = home / f"{name}.log"
            with log.open("ab") as file:
                limit = _few_descriptors if name == "serve" else None
                process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, preexec_fn=limit)
            running.callback(_end, process)
            service.logs.append(log)
            service.pids[name] = process.pid
            if name == "serve" and not comes_up(service.url, process, 120):
                raise TimeoutError(f"serve did not answer; its log: {log.read_text(errors='replace')[-2000:]}")
        yield service


def _publish(home: Path) -> None:
    """Versions that have hardly learned anything."""
    draw_folder(home / "drawn", classes=4, images=24, seed=0)
    data = read_folder(home / "drawn")
    fit(TrainConfig(backbone="tiny", epochs=1, pretrained=False), data.samples, data.classes, home / "model")
    models = open_stores(Settings(home=home)).models
    for project in (PROJECT, OF_MALFORMED):
        models.publish(project, home / "model", VersionFacts(run="none"))


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
