"""RQ job: train a run on the project's pictures and publish it as a version."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from rq.job import Retry

from backend.errors import BackendError, QueueError
from backend.interrupts import StopRequest
from backend.jobs.tasks.attempts import FOR_NOW, tried_again, wait_turn
from backend.jobs.tasks.fetching import fetch_pictures, raise_if_none_for_now
from backend.jobs.tasks.workplace import Workplace, workplace
from backend.labelstudio.corrections import drawn_regions
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.samples import given_labels
from backend.storage.files import locked
from backend.storage.runs import CANCELLED, ENDED, RUNNING, SUCCEEDED, Run
from wsol_core.checkpoints import CHECKPOINT, is_finished, is_started
from wsol_core.config import TrainConfig
from wsol_core.errors import DataError, TrainingCancelled
from wsol_core.files import write_whole
from wsol_core.model_card import ModelCard
from wsol_core.pictures import open_picture_small
from wsol_core.progress import Progress, TrainingHooks
from wsol_core.records import CorrectedRegion, Sample
from wsol_core.training import fit

logger = logging.getLogger(__name__)

MOST_STARTS = 5  # processes in a row that may die without getting further
EVERY_S = 0.5  # progress is reported, and cancelling noticed
TURN_S = 2  # between looks whether another run of the project is still being trained
AT_ONCE = 100  # tasks whose pictures are fetched together


@tried_again
def train(run_id: str) -> str | Retry | None:
    """The version that was published; None where the run was cancelled.

    Only the id crosses the queue, so a retry goes on from the last checkpoint, on any worker. What goes wrong for now
    is tried again; everything else ends the run, and its reason is kept.
    """
    place = workplace()
    run = place.stores.runs.read(run_id)
    if run.state in ENDED:
        return run.version
    worker_ends = StopRequest("")
    with (
        worker_ends.listening(),
        # The system lets go of it when the process dies: a run that was given up by mistake cannot train twice.
        locked(place.settings.home / "runs" / f".training-{run.project_id}", wait=False) as alone,
    ):
        if not alone:
            return wait_turn(TURN_S)
        try:
            return _train(place, run, worker_ends.is_asked)
        except Exception as error:
            # Whatever went wrong while the worker ends: the processes that load pictures are told to end, too.
            if worker_ends.is_asked():
                place.stores.runs.update(run_id, starts=run.starts)
                return wait_turn(0)
            if isinstance(error, TrainingCancelled):
                return None
            if isinstance(error, FOR_NOW):
                place.stores.runs.update(run_id, starts=run.starts, reason=f"Is tried again: {error}")
            raise


def _train(place: Workplace, run: Run, worker_ends: Callable[[], bool]) -> str:
    run = _begin(place, run)
    runs = place.stores.runs
    manifest, model = runs.folder(run.id) / "manifest.jsonl", runs.folder(run.id) / "model"
    if not manifest.is_file():
        write_whole(manifest, _read_project(place, run))
    lines = map(json.loads, manifest.read_text(encoding="utf-8").splitlines())
    samples = [_sample(runs.folder(run.id), line) for line in lines]
    runs.update(run.id, pictures=len(samples))
    classes = tuple(sorted({label for sample in samples for label in sample.labels}))
    again = is_started(model)
    logger.info("run %s: %s with %d pictures of %s", run.id, _step(model), len(samples), ", ".join(classes))
    card = fit(
        TrainConfig.from_dict(run.config),
        samples,
        classes,
        model,
        weights_dir=place.settings.weights_dir,
        hooks=TrainingHooks(_reporter(place, run.id), _stop_asker(place, run.id, worker_ends)),
        resume=again,
    )
    version = place.stores.models.publish(run.project_id, model, _facts(run, card, len(samples)), manifest)
    if place.settings.preannotate:  # before the run counts as done: whoever dies in between does it again
        first = {"project_id": run.project_id, "version": version, "after_id": 0, "seen": 0, "done": 0}
        place.queue.preannotate(first)
    runs.update(run.id, state=SUCCEEDED, ended=time.time(), version=version)
    runs.clear(run.id)
    logger.info("run %s: published %s", run.id, version)
    return version


def _begin(place: Workplace, run: Run) -> Run:
    """The run, begun once more; BackendError where it keeps killing its processes."""
    runs, now = place.stores.runs, time.time()
    checkpoint = runs.folder(run.id) / "model" / CHECKPOINT
    got_further = run.begun is not None and checkpoint.is_file() and checkpoint.stat().st_mtime > run.begun
    starts = 1 if got_further else run.starts + 1
    if starts > MOST_STARTS:
        raise BackendError(
            f"The process of run {run.id} died {run.starts} times, so it is not started again; look for an "
            "out-of-memory message in the worker's log, then train with a smaller backbone or on another device."
        )
    return runs.update(run.id, state=RUNNING, started=run.started or now, begun=now, starts=starts, reason="")


def _step(model: Path) -> str:
    if is_finished(model):
        return "has been trained"
    return "goes on from its checkpoint" if is_started(model) else "starts"


def _read_project(place: Workplace, run: Run) -> bytes:
    """The project's labelled pictures as lines of JSON: task, labels, regions. Keeps pictures and masks."""
    client = place.label_studio()
    config = LabelConfig.parse(str(client.project(run.project_id).get("label_config", "")))
    lines: list[str] = []
    seen = labelled = 0
    tasks = client.tasks(run.project_id)
    while page := list(islice(tasks, AT_ONCE)):
        labels = {task["id"]: found for task in page if (found := given_labels(task, config))}
        chosen = [task for task in page if task["id"] in labels]
        paths = fetch_pictures(place.media, chosen, config, run.project_id)
        raise_if_none_for_now(paths)
        for task, path in zip(chosen, paths, strict=True):
            if isinstance(path, Path):
                folder = place.stores.runs.folder(run.id)
                _keep(path, folder / "pictures" / str(task["id"]))
                regions = _keep_regions(task, labels[task["id"]], config, folder)
                line = {"task": task["id"], "labels": list(labels[task["id"]]), "regions": regions}
                lines.append(json.dumps(line, ensure_ascii=False))
        seen, labelled = seen + len(page), labelled + len(chosen)
        _report(place, run.id, {"stage": "reading", "stage_index": 0, "stages": 1, "step": seen, "at": time.time()})
    if not lines:
        raise DataError(
            f"Project {run.project_id} has {seen} tasks, {labelled} with a class, and {len(lines)} of those with "
            "a picture that can be read; choose classes for some tasks (Choices) and submit them, then train again."
        )
    return ("\n".join(lines) + "\n").encode()


def _keep_regions(
    task: Mapping[str, Any], labels: Sequence[str], config: LabelConfig, folder: Path
) -> list[dict[str, Any]]:
    """What people drew on the picture, as the manifest has it; masks become files, one a class."""
    regions = drawn_regions(task, config)
    if not regions:
        return []
    try:
        _, size_wh = open_picture_small(folder / "pictures" / str(task["id"]), 32, f"task {task['id']}")
    except DataError:  # training says so, once, and goes on without the picture
        return []
    kept = []
    for region in regions:
        if region.label not in labels:
            continue
        name = None
        if region.mask is not None:
            name = f"masks/{task['id']}-{labels.index(region.label)}.png"
            (folder / name).parent.mkdir(exist_ok=True)
            Image.fromarray(region.mask).save(folder / name)
        kept.append({"label": region.label, "box_xyxy": region.box_in(size_wh), "mask": name})
    return kept


def _sample(folder: Path, line: Mapping[str, Any]) -> Sample:
    """A line of the manifest, whose files are in the run's folder."""
    regions = tuple(
        CorrectedRegion(each["label"], tuple(each["box_xyxy"]), folder / each["mask"] if each["mask"] else None)
        for each in line["regions"]
    )
    return Sample(f"task {line['task']}", folder / "pictures" / str(line["task"]), tuple(line["labels"]), regions)


def _keep(picture: Path, kept: Path) -> None:
    """A second name for a picture of the cache, which forgets; costs no space on the same disk."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        kept.hardlink_to(picture)
    except OSError:  # another disk, or one without links
        shutil.copyfile(picture, kept)


def _facts(run: Run, card: ModelCard, pictures: int) -> dict[str, Any]:
    return {
        "run": run.id,
        "classes": list(card.classes),
        "pictures": pictures,
        "metrics": dict(card.metrics),
        "config": card.config.to_dict(),
        "code_version": card.code_version,
    }


def _reporter(place: Workplace, run_id: str) -> Callable[[Progress], None]:
    """Tells Redis how far the training is, now and then; a Redis that is away does not stop a training."""
    last_s = -EVERY_S

    def report(progress: Progress) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s < EVERY_S:
            return
        last_s = now_s
        values = {
            "stage": progress.stage,
            "stage_index": progress.stage_index,
            "stages": progress.stages,
            "epoch": progress.epoch,
            "epochs": progress.epochs,
            "step": progress.step,
            "steps": progress.steps,
            "loss": round(sum(float(value) for value in progress.losses.values()), 5),
            "images_per_s": round(progress.images_per_s, 2),
            "seconds_left": round(progress.seconds_left, 1),
            "at": time.time(),
        }
        _report(place, run_id, values)

    return report


def _report(place: Workplace, run_id: str, values: Mapping[str, Any]) -> None:
    try:
        place.queue.report_progress(run_id, values)
    except QueueError as error:
        logger.warning("run %s: progress is not shown: %s", run_id, error)


def _stop_asker(place: Workplace, run_id: str, worker_ends: Callable[[], bool]) -> Callable[[], bool]:
    """Whether the worker ends or the run was cancelled; that for workers that the command to stop does not reach."""
    last_s = time.monotonic()

    def should_stop() -> bool:
        nonlocal last_s
        now_s = time.monotonic()
        if worker_ends() or now_s - last_s < EVERY_S:
            return worker_ends()
        last_s = now_s
        return place.stores.runs.read(run_id).state == CANCELLED

    return should_stop
