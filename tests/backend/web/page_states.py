"""Everything that a page can have to show: each state is written into real stores as the jobs leave it."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw
from rq import Worker
from rq.worker import WorkerStatus

from backend.queueing.progress import PreannotationProgress
from backend.queueing.queue import BULK, PREDICT, TRAIN
from backend.settings import GateMode
from backend.storage.galleries import Drawable, GalleryPicture
from backend.storage.ledger_rows import LedgerRow, Outcome
from backend.storage.runs import Run, RunState
from backend.storage.sync_cursor import SyncCursor
from backend.storage.version_facts import GateCriterion, GateDecision, VersionFacts
from tests.backend.support.ledger import an_object, row
from tests.backend.web.serving import Site
from wsol_core.config import TrainConfig

CLASSES = ("ladybird", "fish", "starfish", "snail with a rather long name")
MANY = tuple(f"part number {number}" for number in range(4711, 4791))
SHORT = (
    "36 steps of stage localize are not enough for 51 images; 250 would do. The model is unreliable: train for 9 "
    "minutes on this machine, or leave the length open."
)
UNREADABLE = (
    "Project 7 has 24 tasks, 24 with a class, and no picture of those can be read. Task 1: http://10.0.0.5/1.jpg is on "
    "a private address; name its host in IMAGE_HOSTS if Boxstrap may read pictures there. See `boxstrap doctor`."
)


def config(classes: Sequence[str]) -> str:
    """A labeling config with choices and boxes."""
    choices, labels = ("".join(f'<{tag} value="{name}"/>' for name in classes) for tag in ("Choice", "Label"))
    return f"""<View><Image name="image" value="$image"/><Choices name="class" toName="image">{choices}</Choices>
    <RectangleLabels name="box" toName="image">{labels}</RectangleLabels></View>"""


def connect(site: Site, project: str = "7", title: str = "Beetles and fish", classes: Sequence[str] = CLASSES) -> None:
    """Label Studio has set the project up and named it."""
    call = {"project": f"{project}.17", "schema": config(classes), "hostname": "http://localhost:8080"}
    assert site.post("/setup", call).status_code == 200
    event = {"action": "PROJECT_UPDATED", "project": {"id": int(project), "title": title}}
    assert site.post("/webhook", event).is_success


def work(site: Site) -> None:
    """Both workers are there."""
    for number, queues in enumerate(((TRAIN,), (PREDICT, BULK)), 1):
        worker = Worker(list(queues), connection=site.queue.connection, prepare_for_work=False, name=f"worker{number}")
        worker.hostname, worker.pid = "gpu-box.example", number
        worker.register_birth()
        worker.set_state(WorkerStatus.IDLE)


def label(site: Site, project: str = "7") -> None:
    """People have labelled forty pictures, and reviewed some of the predictions."""
    rows = [LedgerRow(task, Outcome.OPEN, (CLASSES[task % 3],), digest=str(task)) for task in range(1, 41)]
    rows += [
        row(task, an_object("edited", 0.62, 0.4), an_object("accepted", score=0.8), labels=(CLASSES[task % 3],))
        for task in range(41, 61)
    ]
    rows += [row(task, an_object("accepted", score=0.9), labels=(CLASSES[0],)) for task in range(61, 71)]
    site.stores.feedback.put(project, rows)
    site.stores.feedback.set_cursor(project, SyncCursor(updated_at="2026-11-27T08:00:00+00:00", synced=time.time()))


def publish(
    site: Site,
    folder: Path,
    run: str,
    gate: GateDecision | None,
    live: bool = True,
    faults: tuple[str, ...] = (),
    brief: bool = False,
    classes: Sequence[str] = CLASSES[:3],
) -> str:
    """A version with a history, a manifest and twelve predictions; its model is empty."""
    model = folder / run
    model.mkdir(parents=True, exist_ok=True)
    for name in ("model.safetensors", "model.json"):
        (model / name).write_text("{}")
    manifest = model / "manifest.jsonl"
    lines = [
        {"task": task, "labels": [classes[task % len(classes)]], "regions": [{}] * (task > 40), "part": "train"}
        for task in range(1, max(61, len(classes)))
    ]
    lines += [{"task": task, "labels": [classes[0]], "regions": [{}], "part": "holdout"} for task in range(61, 67)]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    metrics = {
        "holdout_top1_accuracy": 0.8333,
        "holdout_pictures": 12.0,
        "holdout_score": 0.57,
        "train_seconds": 251.3,
        "train_steps": 442.0,
        "pretrained": 1.0,
        "warm_start": 0.0,
    }
    facts = VersionFacts(
        run=run,
        trigger="20 new corrections",
        classes=tuple(classes),
        pictures=60,
        corrected=20,
        holdout=6,
        metrics=metrics,
        config={"method": "boxstrap", "backbone": "mobilenet_v2", "brief": brief},
        gate=gate,
        faults=faults,
    )
    name = site.stores.models.publish("7", model, facts, manifest, live=live)
    site.stores.galleries.add("7", name, [drawing(task, task / 13) for task in range(1, 13)])
    return name


def decision(
    criterion: GateCriterion, against: str | None, passed: bool, mode: GateMode = GateMode.AUTO
) -> GateDecision:
    """What the gate decided, with measures where it compared boxes."""
    measures = {
        "box_iou": {"live": 0.61, "new": 0.71, "difference": 0.1, "low": 0.02, "high": 0.17},
        "mask_iou": {"live": 0.58, "new": 0.64, "difference": 0.06, "low": -0.01, "high": 0.12},
        "edits": {"live": 1.9, "new": 1.2, "difference": -0.7, "low": -1.1, "high": -0.2},
    }
    found = measures if criterion == GateCriterion.HOLDOUT else {}
    sentence = "On 14 corrected images the new version is better: box IoU 0.710 after 0.610 (+0.100, +0.020 to +0.170)."
    return GateDecision(mode, criterion, against, 14, passed, passed and mode == GateMode.AUTO, sentence, found)


def drawing(task: int, score: float) -> Drawable:
    """A picture with a box on it."""

    def jpeg() -> bytes:
        picture = Image.new("RGB", (240, 180 if task % 3 else 300), (40 + 12 * task, 90, 160 - 9 * task))
        pen = ImageDraw.Draw(picture)
        pen.ellipse((60, 40, 60 + 8 * task, 120), fill=(220, 120, 60))
        pen.rectangle((60, 40, 60 + 8 * task, 120), outline=(255, 214, 10), width=3)
        data = io.BytesIO()
        picture.save(data, "JPEG")
        return data.getvalue()

    objects = task % 3
    return Drawable(GalleryPicture(task, score if objects else 0.0, (CLASSES[task % 4],), objects, task // 6), jpeg)


def run(site: Site, state: RunState, **changes: object) -> Run:
    """A run of the project in a state."""
    made = site.stores.runs.create("7", {}, "20 new corrections")
    return site.stores.runs.update(made.id, state=state, **changes)


def empty(site: Site, folder: Path) -> None:
    """Nothing is connected."""
    work(site)


def starting(site: Site, folder: Path) -> None:
    """The workers are not there yet."""
    connect(site)


def unlabelled(site: Site, folder: Path) -> None:
    """A project that was just connected."""
    work(site)
    connect(site)


def waiting(site: Site, folder: Path) -> None:
    """The first training waits."""
    unlabelled(site, folder)
    label(site)
    run(site, RunState.QUEUED)


def reading(site: Site, folder: Path) -> None:
    """The first training reads tasks."""
    unlabelled(site, folder)
    label(site)
    made = run(site, RunState.RUNNING, started=time.time())
    progress = {"stage": "reading", "step": 24, "steps": 70, "share": 0.04, "seconds_left": 452.0, "at": time.time()}
    site.queue.progress.report_run(made.id, {**progress, "notice": "24 of 70 tasks are read."})


def training(site: Site, folder: Path) -> None:
    """A training in its second stage, which is too short, beside a live version."""
    first_version(site, folder)
    made = run(site, RunState.RUNNING, started=time.time(), pictures=60, warnings=(SHORT,))
    model = site.stores.runs.folder(made.id) / "model"
    model.mkdir()
    lines = [
        {"stage": stage, "epoch": 1, "step": step, "losses": losses(step), "lr": 0.01}
        for stage in ("classify", "localize")
        for step in range(1, 60)
    ]
    (model / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    site.stores.galleries.add("7", made.id, [drawing(task, task / 13) for task in range(1, 7)], anew=True)
    progress = {"stage": "localize", "stage_index": 1, "stages": 3, "epoch": 3, "epochs": 9, "step": 59, "steps": 180}
    progress |= {"loss": 0.731, "images_per_s": 21.3, "share": 0.43, "seconds_left": 311.0, "at": time.time()}
    notice = "The training will take about 7 minutes: 119 steps of stage classify, 180 steps of stage localize."
    site.queue.progress.report_run(made.id, {**progress, "samples": 2, "notice": notice})


def losses(step: int) -> dict[str, float]:
    """Of a step."""
    return {name: 1 / (k + 1) + math.exp(-step / 20) for k, name in enumerate(("classification", "area", "background"))}


def first_look(site: Site, folder: Path) -> None:
    """The brief training that a project begins with where there is no GPU."""
    unlabelled(site, folder)
    label(site)
    made = run(site, RunState.RUNNING, started=time.time(), pictures=60, config=TrainConfig(brief=True).to_dict())
    progress = {"stage": "classify", "stage_index": 0, "stages": 3, "epoch": 2, "epochs": 12, "step": 7, "steps": 45}
    progress |= {"loss": 1.731, "images_per_s": 18.3, "share": 0.05, "seconds_left": 271.0, "at": time.time()}
    notice = "The training will take about 5 minutes: 45 steps of stage classify, 75 steps of stage localize."
    site.queue.progress.report_run(made.id, {**progress, "samples": 0, "notice": notice})


def rest(site: Site, folder: Path) -> None:
    """The rest of the training, while the first look predicts."""
    unlabelled(site, folder)
    label(site)
    publish(site, folder, "a", decision(GateCriterion.FIRST_VERSION, None, True), brief=True)
    run(site, RunState.QUEUED, trigger="the first look, of which it is the rest")


def failed(site: Site, folder: Path) -> None:
    """The first training found no picture that can be read."""
    unlabelled(site, folder)
    label(site)
    run(site, RunState.FAILED, ended=time.time(), reason=UNREADABLE)


def first_version(site: Site, folder: Path) -> None:
    """The first version is live though it is unreliable, and its predictions are being written."""
    unlabelled(site, folder)
    label(site)
    publish(site, folder, "a", decision(GateCriterion.FIRST_VERSION, None, True), faults=(SHORT,))
    writing = PreannotationProgress("boxstrap-7-0001", 64, 60, ended=False, tasks=400, seconds_left=52.0)
    site.queue.progress.report_preannotation("7", writing)


def refused_version(site: Site, folder: Path) -> None:
    """Versions of all kinds: replaced, live, refused, suggested."""
    unlabelled(site, folder)
    label(site)
    first = publish(site, folder, "a", decision(GateCriterion.FIRST_VERSION, None, True))
    second = publish(site, folder, "b", decision(GateCriterion.HOLDOUT, first, True))
    publish(site, folder, "c", decision(GateCriterion.HOLDOUT, second, False), live=False)
    publish(site, folder, "d", decision(GateCriterion.FAULTS, second, False), live=False, faults=(SHORT,))
    publish(site, folder, "e", decision(GateCriterion.LABELS, second, True, GateMode.SUGGEST), live=False)
    ended = PreannotationProgress(second, 70, 41, ended=True, tasks=70, left_out={"crab": 30, "fish": 7}, empty=12)
    site.queue.progress.report_preannotation("7", ended)


def nothing_shown(site: Site, folder: Path) -> None:
    """One class, and a version of which nothing is worth showing."""
    work(site)
    connect(site, classes=CLASSES[:1])
    rows = [LedgerRow(task, Outcome.OPEN, CLASSES[:1], digest=str(task)) for task in range(1, 41)]
    site.stores.feedback.put("7", rows)
    name = publish(site, folder, "a", decision(GateCriterion.FIRST_VERSION, None, True), classes=CLASSES[:1])
    gallery = [drawing(task, 0.0) for task in range(3, 37, 3)]  # of those that have no objects
    site.stores.galleries.add("7", name, gallery, anew=True)
    ended = PreannotationProgress(name, 40, 40, ended=True, tasks=40, left_out={CLASSES[0]: 57}, empty=40)
    site.queue.progress.report_preannotation("7", ended)


def many_classes(site: Site, folder: Path) -> None:
    """Eighty classes and 10,000 pictures, whose predictions are being written."""
    work(site)
    connect(site, title="Parts of pumps", classes=MANY)
    rows = [LedgerRow(task, Outcome.OPEN, (MANY[task % len(MANY)],), digest=str(task)) for task in range(1, 10_001)]
    site.stores.feedback.put("7", rows)
    name = publish(site, folder, "a", decision(GateCriterion.FIRST_VERSION, None, True), classes=MANY)
    left_out = dict.fromkeys(MANY, 12)
    writing = PreannotationProgress(name, 6144, 6100, False, 10_000, 252.0, left_out, 31)
    site.queue.progress.report_preannotation("7", writing)


def many_projects(site: Site, folder: Path) -> None:
    """Twelve projects, one of which is trained."""
    for number in range(11, 22):
        connect(site, str(number), f"Series {number}: parts of pumps, photographed under the microscope")
    training(site, folder)


STATES: dict[str, Callable[[Site, Path], None]] = {
    "empty": empty,
    "starting": starting,
    "unlabelled": unlabelled,
    "waiting": waiting,
    "reading": reading,
    "training": training,
    "first look": first_look,
    "rest": rest,
    "failed": failed,
    "first version": first_version,
    "refused version": refused_version,
    "nothing shown": nothing_shown,
    "many classes": many_classes,
    "many projects": many_projects,
}
