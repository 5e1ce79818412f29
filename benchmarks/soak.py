"""An hour of work with kills: nothing may be lost, be there twice, or grow.

    python -m benchmarks.soak [--minutes 60] [--kill-every 60]

`boxstrap up` on a tiny backbone, a project in a stand-in for Label Studio, trainings one after the other, /predict all
the time, and a kill -9 of one process after the other. Each kill's row says how long it took until the same kind worked
again; in the end, memory and descriptors are compared with those after the first tenth, and keys in Redis are shown,
which keeps what trainings did for a day.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import redis

from backend.queueing.connection import connect
from backend.settings import Settings
from backend.storage.stores import open_stores
from benchmarks.serving import memory_mib
from demo.local_servers import comes_up, free_port
from tests.backend.support.fake_project import CONFIG, PROJECT, FakeLabelStudio
from tests.local_http import answering
from wsol_core.synthetic.dataset import draw_folder

LONGEST_S = 120.0
GROWTH = 1.3  # of memory, descriptors and keys, over the whole run
VICTIMS = ("redis", "serve", "guardian", "boxstrap-predict", "boxstrap-bulk", "boxstrap-train", "training")


@dataclass(frozen=True, slots=True)
class Size:
    """What may not grow: MiB and descriptors of all processes, and keys in Redis."""

    mib: float
    descriptors: int
    keys: int


class Service:
    """A `boxstrap up`, its processes and what it says."""

    def __init__(self, home: Path, label_studio: FakeLabelStudio) -> None:
        self._port = free_port()
        self.settings = Settings(home=home)
        environment = {
            **os.environ,
            "BOXSTRAP_HOME": str(home),
            "BOXSTRAP_PORT": str(self._port),
            "BOXSTRAP_BACKBONE": "tiny",
            "TRAIN_EPOCHS": "3",
            "DEVICE": "cpu",
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": label_studio.token,
        }
        self.log = home / "log"
        with self.log.open("ab") as file:
            command = [sys.executable, "-m", "backend", "up"]
            self.process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=100, trust_env=False)
        if not comes_up(str(self.http.base_url).rstrip("/"), self.process, LONGEST_S):
            raise TimeoutError(self.log.read_text(errors="replace")[-2000:])
        self.redis: redis.Redis = connect(self.settings)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The answer's JSON; None where there is none."""
        try:
            answer = self.http.get(path) if body is None else self.http.post(path, json=body)
            return dict(answer.json()) if answer.is_success else None
        except httpx.HTTPError:
            return None

    def pids(self) -> dict[str, int]:
        """The processes by what they do; "training" only while there is one."""
        found: dict[str, int] = {}
        for child in _children(self.process.pid):
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"serve\0" in command and b"worker\0" not in command:
                found["serve"] = child
            elif b"worker\0" in command and _children(child):
                found["guardian"] = child
            elif b"worker\0" not in command:
                found["redis"] = child
        for queue, child in zip(VICTIMS[3:6], _children(found.get("guardian", 0)), strict=False):
            found[queue] = child
            if queue == "boxstrap-train" and (horses := _children(child)):
                found["training"] = horses[0]
        return found

    def size(self) -> Size:
        """Of all processes together."""
        pids = [self.process.pid, *self.pids().values()]
        descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
        return Size(sum(map(memory_mib, pids)), descriptors, int(self.redis.dbsize()))


def main() -> None:
    """Prints a row for each kill; ends with 1 where something was lost, doubled, slow or grown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--kill-every", type=float, default=60, metavar="S")
    asked = parser.parse_args()
    with service() as running:
        faults = soak(running, 60 * asked.minutes, asked.kill_every)
    print("\n".join(faults) or "nothing was lost, doubled or grown")
    sys.exit(1 if faults else 0)


def soak(running: Service, for_s: float, every_s: float) -> list[str]:
    """Kill in turns while it works; return what went wrong, in sentences."""
    up_s = _waited(lambda: _is_back(running, VICTIMS[0], 0))
    print(f"everything works after {up_s:.1f} s\n")
    begin_s, kills, accepted, first, faults = time.monotonic(), 0, list[str](), None, list[str]()
    print("| killed | back after | predictions answered |\n|---|---|---|")
    while (passed_s := time.monotonic() - begin_s) < for_s:
        if (run := running.ask("/train", {"project": PROJECT})) is not None and run["job"] not in accepted:
            accepted.append(run["job"])
        answered = sum(_predicts(running) for _ in range(5))
        if first is None and passed_s > for_s / 10:
            first = running.size()
        if passed_s > kills * every_s:
            victim = VICTIMS[kills % len(VICTIMS)]
            kills += 1
            if (pid := running.pids().get(victim)) is not None:
                os.kill(pid, signal.SIGKILL)
                back_s = _waited(partial(_is_back, running, victim, pid))
                print(f"| {victim} | {back_s:.1f} s | {answered} of 5 |", flush=True)
                if back_s > 10:
                    faults.append(f"{victim} was back after {back_s:.1f} s only")
    return faults + _losses(running, accepted) + _growth(first, running.size())


def _losses(running: Service, accepted: list[str]) -> list[str]:
    """Wait for the trainings that were accepted; each has to have published one version, and none another one."""
    stores = open_stores(running.settings)
    _waited(lambda: all(stores.runs.read(run).state.has_ended for run in accepted), 10 * LONGEST_S)
    versions = [version.facts.run for version in stores.models.versions(PROJECT)]
    return [f"run {run} has {versions.count(run)} versions" for run in accepted if versions.count(run) != 1]


def _growth(first: Size | None, last: Size) -> list[str]:
    if first is None:
        return []
    print(f"\nafter a tenth: {first}\nin the end: {last}")
    grown = {"memory": (first.mib, last.mib), "descriptors": (first.descriptors, last.descriptors)}
    return [f"{what} grew from {a:.0f} to {b:.0f}" for what, (a, b) in grown.items() if b > GROWTH * a]


def _predicts(running: Service) -> bool:
    body = {"tasks": [{"id": 1, "data": {"image": "data:,"}}], "project": PROJECT, "label_config": CONFIG}
    return running.ask("/predict", body) is not None


def _is_back(running: Service, victim: str, killed: int) -> bool:
    if victim == "training":
        return killed not in running.pids().values()
    status = running.ask("/api/status") or {"redis_up": False, "workers": {}}
    works = status["redis_up"] and all(status["workers"].get(queue, 0) for queue in VICTIMS[3:6])
    return bool(works and running.pids().get(victim, killed) != killed)


def _waited(until: Callable[[], bool], longest_s: float = LONGEST_S) -> float:
    begin_s = time.monotonic()
    while not until() and time.monotonic() - begin_s < longest_s:
        time.sleep(0.1)
    return time.monotonic() - begin_s


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


@contextmanager
def service() -> Iterator[Service]:
    """Everything that is needed, in a folder that goes in the end."""
    with tempfile.TemporaryDirectory(prefix="bx") as folder:
        home = Path(folder)
        draw_folder(home / "drawn", classes=2, images=12, seed=0)
        label_studio = FakeLabelStudio(home / "drawn")
        with answering(label_studio.answer) as label_studio.url:
            running = Service(home, label_studio)
            try:
                running.ask("/setup", {"project": PROJECT, "schema": CONFIG})
                yield running
            finally:
                running.process.terminate()
                running.process.wait(180)


if __name__ == "__main__":
    main()
