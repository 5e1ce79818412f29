"""An hour of work with kills: nothing may be lost, be there twice, or grow.

    python -m benchmarks.soak [--minutes 60] [--kill-every 60]

`boxstrap up` on a tiny backbone, a project in a stand-in for Label Studio, trainings one after the other, /predict all
the time, and a kill -9 of one process after the other: a round of them while the machine is otherwise idle, then one
while each core has a process that does nothing but count. Each kill's row says how long it took until the same kind
worked again, and until a prediction came that was asked for at that moment, as Label Studio asks: once more where the
connection broke. In the end, memory and descriptors are compared with those after the first round, and the keys in
Redis are shown, which keeps what trainings did for a day.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import redis

from backend.errors import QueueError
from backend.queueing.connection import connect
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.settings import Settings
from backend.storage.runs import RunState
from backend.storage.stores import open_stores
from benchmarks.serving import memory_mib
from demo.local_servers import comes_up, free_port
from tests.backend.support.fake_project import CONFIG, PROJECT, FakeLabelStudio
from tests.local_http import answering
from wsol_core.synthetic.dataset import draw_folder

LONGEST_S, RECOVERY_S = 120.0, 10.0
GROWTH = 1.3  # of memory and descriptors, over the whole run
SPARES = ("spare of serve", "spare of guardian")
VICTIMS = ("redis", "serve", "guardian", PREDICT, BULK, TRAIN, "training", *SPARES)
COUNTING = (sys.executable, "-c", "while True: pass")


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
        self.label_studio = label_studio
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

    def predicts(self) -> bool:
        """Whether a prediction of a real picture comes."""
        body = {"tasks": [self.label_studio.tasks[0]], "project": PROJECT, "label_config": CONFIG}
        return self.ask("/predict", body) is not None

    def trains(self) -> bool:
        """Whether a run is being trained."""
        return any(run.state == RunState.RUNNING for run in open_stores(self.settings).runs.of_project(PROJECT))

    def pids(self) -> dict[str, int]:
        """The processes by what they do; "training" only while there is one, a spare once it has been started."""
        found: dict[str, int] = {}
        for child in _children(self.process.pid):  # in the order of their starts, so that a spare comes after its like
            words = _command(child)
            kind = "redis" if "-m" not in words else "serve" if "serve" in words else "guardian"
            found[f"spare of {kind}" if kind in found else kind] = child
        workers = _children(found.get("guardian", 0))
        try:
            registered = JobQueue(self.redis).workers()
        except QueueError:
            return found
        for worker in registered:
            if worker.pid in workers:
                [queue] = worker.queue_names()
                found[queue] = worker.pid
        if horses := _children(found.get(TRAIN, 0)):
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
    parser.add_argument("--minutes", type=float, default=60, help="at least; every process is killed in both states")
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
    running.ask("/train", {"project": PROJECT})
    _waited(lambda: bool((running.ask("/versions") or {}).get("versions")))
    begin_s, accepted, first, faults = time.monotonic(), list[str](), None, list[str]()
    print("| killed | machine | back after | a prediction asked for then came after |\n|---|---|---|---|")
    while first is None or time.monotonic() - begin_s < for_s:
        for machine, burners in (("idle", 0), ("busy", os.cpu_count() or 1)):
            with _burning(burners):
                for victim in VICTIMS:
                    _work(running, accepted, every_s, victim)
                    faults += _kill(running, victim, machine)
        first = first or running.size()
    return faults + _losses(running, accepted) + _growth(first, running.size())


def _work(running: Service, accepted: list[str], for_s: float, wanted: str) -> None:
    """Train and predict for a while, and until there is a process of the `wanted` kind."""
    begin_s = time.monotonic()
    while (passed_s := time.monotonic() - begin_s) < LONGEST_S:
        run = running.ask("/train", {"project": PROJECT})
        if run is not None and run["job"] not in accepted:
            accepted.append(run["job"])
        if passed_s > for_s and wanted in running.pids():
            return
        running.predicts()
        time.sleep(0.1)


def _kill(running: Service, victim: str, machine: str) -> list[str]:
    """Prints the row; returns what was too slow."""
    if (pid := running.pids().get(victim)) is None:
        return [f"there was no {victim} to kill on the {machine} machine"]
    begin_s, came_s = time.monotonic(), list[float]()

    def predict() -> None:
        _waited(running.predicts)
        came_s.append(time.monotonic() - begin_s)

    asking = threading.Thread(target=predict)
    os.kill(pid, signal.SIGKILL)
    asking.start()
    back_s = _waited(partial(_is_back, running, victim, pid))
    asking.join()
    print(f"| {victim} | {machine} | {back_s:.1f} s | {came_s[0]:.1f} s |", flush=True)
    slow = {"was back": back_s, "let a prediction come": came_s[0]}
    return [
        f"{victim}, killed on the {machine} machine, {what} after {seconds:.1f} s only"
        for what, seconds in slow.items()
        if seconds > RECOVERY_S and victim not in SPARES  # nobody waits for those
    ]


def _losses(running: Service, accepted: list[str]) -> list[str]:
    """Wait for what was accepted: a version of each training, and a prediction of the live one for each task."""
    stores = open_stores(running.settings)
    _waited(lambda: all(stores.runs.read(run).state.has_ended for run in accepted), 10 * LONGEST_S)
    versions = stores.models.versions(PROJECT)
    runs = [version.facts.run for version in versions]
    lost = [f"run {run} has {runs.count(run)} versions" for run in accepted if runs.count(run) != 1]
    tasks, live = running.label_studio.tasks, stores.models.current(PROJECT) or ""
    _waited(lambda: len(running.label_studio.predictions(live)) == len(tasks))
    counts = [running.label_studio.predictions(live)[task["id"]] for task in tasks]
    lost += [f"{live} has {count} predictions of a task" for count in counts if count != 1]
    tracebacks = running.log.read_text(errors="replace").count("Traceback")
    print(f"\n{len(accepted)} trainings were accepted, {len(versions)} versions published; {tracebacks} tracebacks")
    return lost + [f"the log has {tracebacks} tracebacks"] * bool(tracebacks)


def _growth(first: Size, last: Size) -> list[str]:
    print(f"\nafter the first round: {first}\nin the end: {last}")
    grown = {"memory": (first.mib, last.mib), "descriptors": (first.descriptors, last.descriptors)}
    return [f"{what} grew from {a:.0f} to {b:.0f}" for what, (a, b) in grown.items() if b > GROWTH * a]


def _is_back(running: Service, victim: str, killed: int) -> bool:
    now = running.pids()
    if victim == "training":  # unless it had ended just then
        return now.get(victim, killed) != killed or not running.trains()
    if victim in SPARES:
        return now.get(victim, killed) != killed
    status = running.ask("/api/status") or {"redis_up": False, "workers": {}}
    works = status["redis_up"] and all(queue in now for queue in (PREDICT, BULK, TRAIN))
    return bool(works and now.get(victim, killed) != killed)


def _waited(until: Callable[[], bool], longest_s: float = LONGEST_S) -> float:
    begin_s = time.monotonic()
    while not until() and time.monotonic() - begin_s < longest_s:
        time.sleep(0.1)
    return time.monotonic() - begin_s


@contextmanager
def _burning(count: int) -> Iterator[None]:
    """Processes that take a core each, in sessions of their own, so that the system shares the cores with each."""
    burners = [subprocess.Popen(COUNTING, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def _command(pid: int) -> Sequence[str]:
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_text(errors="replace").split("\0") if path.exists() else ()


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
