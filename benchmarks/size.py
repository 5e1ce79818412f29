"""How the work on a project grows with its tasks: reading corrections, training again, predicting later tasks.

    python -m benchmarks.size [--tasks 1000 10000 100000] [--first]

For each size: a real Label Studio with so many tasks, each with a submitted class and a prediction with a box, a tenth
of them corrected. Then what is done once, and again after 20 corrections: the ledger is read, and a training is begun
until its first step, by the real job; later tasks, and the first hundreds for a new version, get predictions. Each is a
process of its own, whose peak memory is measured: all of it, and without what is mapped from files, such as torch's
libraries. All tasks share 200 drawn pictures, under an address of its own each (`?copy=N`), so that each is fetched,
kept and linked for itself. What first readings leave is put in place, since Label Studio takes an hour for them at
100,000 tasks; `--first` reads all instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backend.jobs.context import JobContext, job_context
from backend.jobs.preannotate import CHUNK, preannotate
from backend.jobs.read_samples import OVERLAP
from backend.jobs.sync_annotations import catch_up
from backend.jobs.train import train
from backend.processes.redis_server import server_command
from backend.queueing.connection import connect
from backend.queueing.messages import PreannotationChunk
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.runs import RunState
from backend.storage.stores import open_stores
from backend.storage.version_facts import VersionFacts
from benchmarks import large_project
from benchmarks.bulk import LOGIN, PROGRAM, answers, wait
from benchmarks.serving import process
from benchmarks.timing import machine
from demo.label_studio_server import LabelStudioServer
from demo.local_servers import free_port
from demo.project import DemoProject, label_config
from tests.local_http import web_server
from wsol_core.config import TrainConfig
from wsol_core.data.folder import read_folder
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.training.fit import fit

PICTURES, CORRECTED, CHUNKS = 200, 20, 10
DATABASE = "label-studio/label_studio.sqlite3"
LOOK_S = 0.1  # between looks at the memory
Json = dict[str, Any]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--first", action="store_true", help="measure the first readings, too")
    parser.add_argument("--step", nargs=2, metavar=("WHAT", "PROJECT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step is not None:
        print(json.dumps(measure(*arguments.step)), flush=True)
        return
    print(f"{machine()}, tiny backbone, Label Studio on SQLite beside it", flush=True)
    columns = ("tasks", "what", "s", "our CPU s", "Label Studio's CPU s", "peak MiB", "without files")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    with tempfile.TemporaryDirectory(prefix="bx") as folder, ExitStack() as running:
        home = Path(folder)
        draw_folder(home / "drawn", classes=4, images=PICTURES, seed=0)
        web = running.enter_context(web_server(home / "drawn"))
        server = LabelStudioServer(PROGRAM.absolute(), home / "label-studio", free_port(8080), LOGIN)
        running.callback(server.stop)
        server.start()
        environment = {
            **os.environ,
            "BOXSTRAP_HOME": folder,
            "IMAGE_HOSTS": "127.0.0.1",
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": LOGIN.token,
            "BOXSTRAP_BACKBONE": "tiny",
            "DEVICE": "cpu",
            "LOG_LEVEL": "WARNING",
        }
        running.enter_context(process(server_command(home), environment))
        queue = JobQueue(connect(Settings(home=home)))
        wait(lambda: answers(queue), "Redis answers")
        data = read_folder(home / "drawn")
        fit(TrainConfig(backbone="tiny", epochs=1), data.samples, data.classes, home / "model")
        label_studio = running.enter_context(closing(DemoProject(server.url, LOGIN.token)))
        for count in arguments.tasks:
            measure_project(label_studio, server, environment, home, web, count, arguments.first)


def measure_project(
    label_studio: DemoProject,
    server: LabelStudioServer,
    environment: dict[str, str],
    home: Path,
    web: str,
    count: int,
    first: bool,
) -> None:
    """The rows of one size."""
    files = sorted((home / "drawn" / "images").glob("*/*.jpg"))
    project = label_studio.make(f"size {count}", label_config(sorted({path.parent.name for path in files})))
    begin = time.monotonic()
    tasks = partial(task_of, web, home, files)
    large_project.fill(label_studio, project, home / DATABASE, count, tasks)
    show(count, "(Label Studio gets the tasks)", time.monotonic() - begin)
    open_stores(Settings(home=home)).models.publish(str(project), home / "model", VersionFacts(run="size"))

    def step(what: str, name: str) -> None:
        command = [sys.executable, "-m", "benchmarks.size", "--step", name, str(project)]
        before_s = server.cpu_s()
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        show(count, what, **found, server=server.cpu_s() - before_s)

    # Else all that was imported in the last minute would be read again, as if it were new.
    time.sleep(OVERLAP.total_seconds())
    correct(label_studio, project, 1)
    if first:
        step("ledger, the first time", "ledger")
        step("a training until its first step, the first time", "train")
    else:
        step("(index, ledger and pictures are put in place)", "in-place")
    correct(label_studio, project, CORRECTED)
    step(f"ledger, after {CORRECTED} corrections", "ledger")
    step(f"a training until its first step, after {CORRECTED} corrections", "train")
    label_studio.import_tasks(project, [{"data": tasks(count + number)["data"]} for number in range(CORRECTED)])
    step(f"{CORRECTED} later tasks get predictions", "later")
    step(f"{CHUNKS * CHUNK} tasks get predictions of a new version", "new")


def correct(label_studio: DemoProject, project: int, count: int) -> None:
    """Submit a box for some tasks."""
    params = {"project": project, "page_size": count, "fields": "all"}
    for each in label_studio.call("GET", "/api/tasks", params=params)["tasks"]:
        label_studio.call("POST", f"/api/tasks/{each['id']}/annotations/", json={"result": [box(each["id"], 12.0)]})


def task_of(web: str, home: Path, files: Sequence[Path], number: int) -> Json:
    """A task with a submitted class, and a prediction; one of ten is corrected."""
    path = files[number % len(files)]
    label = path.parent.name
    chosen = {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
    result = [chosen, box(number, 15.0)] if number % 10 == 0 else [chosen]
    predicted = {"model_version": "yolo", "score": 0.5, "result": [{**box(number, 10.0), "score": 0.5}]}
    return {
        "data": {"image": f"{web}/{path.relative_to(home / 'drawn')}?copy={number}"},
        "annotations": [{"result": result}],
        "predictions": [predicted],
    }


def box(name: object, x: float) -> Json:
    value = {"x": x, "y": 10, "width": 40, "height": 40, "rotation": 0, "rectanglelabels": ["ladybird"]}
    where = {"id": f"r{name}", "from_name": "box", "to_name": "image", "type": "rectanglelabels"}
    return {**where, "original_width": 320, "original_height": 240, "image_rotation": 0, "value": value}


def show(count: int, what: str, seconds: float, **figures: float) -> None:
    """Args: seconds: that went by. figures: CPU seconds, ours and Label Studio's; our peak, and without files."""
    known = [figures.get(name) for name in ("cpu", "server", "mib", "own")]
    shown = ["" if each is None else f"{each:.{1 if index < 2 else 0}f}" for index, each in enumerate(known)]
    print(f"| {count:,} | {what} | {seconds:.1f} | {' | '.join(shown)} |", flush=True)


def measure(what: str, project: str) -> Json:
    """One row, in this process."""
    context, imports_s = job_context(), time.process_time()
    own, done = [0.0], threading.Event()

    def look() -> None:
        while not done.wait(LOOK_S):
            own[0] = max(own[0], memory_mib("RssAnon"))

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    begin = time.monotonic()
    doing = {
        "in-place": put_in_place,
        "ledger": read_ledger,
        "train": begin_training,
        "later": predict_later,
        "new": predict_anew,
    }
    seconds = doing[what](context, project, begin)
    done.set()
    watch.join()
    cpu = time.process_time() - imports_s
    return {"seconds": seconds, "cpu": cpu, "mib": memory_mib("VmHWM"), "own": own[0]}


def memory_mib(name: str) -> float:
    """A figure of /proc/self/status; getrusage's peak is the parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def put_in_place(context: JobContext, project: str, begin: float) -> float:
    """Seconds until what first readings leave is there."""
    home = context.settings.home

    def file_of(address: str) -> Path:
        return home / "drawn" / urlsplit(address).path.lstrip("/")

    large_project.put_in_place(context, project, home / DATABASE, file_of)
    return time.monotonic() - begin


def read_ledger(context: JobContext, project: str, begin: float) -> float:
    """Seconds until what people did is in the ledger."""
    assert catch_up(context, project)
    return time.monotonic() - begin


def predict_later(context: JobContext, project: str, begin: float) -> float:
    """Seconds until the tasks that came after the index was read have predictions."""
    version = context.stores.models.current(project)
    assert version is not None
    last = context.stores.samples(project).last()
    done = preannotate(PreannotationChunk(project, version, after_id=last, drafts=False).to_dict())
    assert isinstance(done, dict) and done["done"] == CORRECTED
    return time.monotonic() - begin


def predict_anew(context: JobContext, project: str, begin: float) -> float:
    """Seconds for the first chunks of the pre-annotation that a version begins with."""
    version = context.stores.models.current(project)
    assert version is not None
    chunk: Json | None = PreannotationChunk(project, version, drafts=False).to_dict()
    for _ in range(CHUNKS):
        assert chunk is not None
        done = preannotate(chunk)
        assert isinstance(done, dict)
        chunk = done["next"]
    return time.monotonic() - begin


def begin_training(context: JobContext, project: str, begin: float) -> float:
    """Seconds until the training's first step is done; the run is cancelled then."""
    run = context.stores.runs.create(project, TrainConfig(backbone="tiny", epochs=1).to_dict())
    first_step_s: list[float] = []

    def cancel_after_first_step() -> None:
        while (context.queue.progress.of_run(run.id) or {}).get("stage", "reading") == "reading":
            time.sleep(0.1)
        first_step_s.append(time.monotonic() - begin)
        context.stores.runs.update(run.id, state=RunState.CANCELLED)

    watch = threading.Thread(target=cancel_after_first_step, daemon=True)
    watch.start()
    assert train(run.id) is None
    watch.join()
    context.stores.runs.clear(run.id)
    return first_step_s[0]


if __name__ == "__main__":
    main()
