"""RQ job: train a run on the project's pictures and publish it as a version."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rq import get_current_job
from rq.job import Retry

from backend.errors import BackendError, ImageNotNowError, QueueError, UnreachableError
from backend.jobs.tasks.fetching import fetch_pictures, raise_if_none_for_now
from backend.jobs.tasks.workplace import Workplace, workplace
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.samples import given_labels
from backend.storage.files import locked
from backend.storage.runs import CANCELLED, ENDED, RUNNING, SUCCEEDED, Run
from wsol_core.checkpoints import is_finished, is_started
from wsol_core.config import TrainConfig
from wsol_core.errors import DataError, TrainingCancelled
from wsol_core.files import write_whole
from wsol_core.model_card import ModelCard
from wsol_core.progress import Progress, TrainingHooks
from wsol_core.records import Sample
from wsol_core.training import fit

logger = logging.getLogger(__name__)

FOR_NOW = (UnreachableError, ImageNotNowError, QueueError)  # trying again helps
MOST_STARTS = 5  # processes that may die of one run
EVERY_S = 0.5  # progress is reported, and cancelling noticed
BUSY = Retry(max=1_000_000, interval=5)  # another run of the project is being trained


def train(run_id: str) -> str | Retry | None:
    """The version that was published; None where the run was cancelled.

    Only the id crosses the queue, so a retry goes on from the last checkpoint, on any worker. What goes wrong for now
    is tried again by RQ; everything else ends the run, and its reason is kept.
    """
    place = workplace()
    run = place.stores.runs.read(run_id)
    if run.state in ENDED:
        return run.version
    with locked(place.settings.home / "runs" / f".training-{run.project_id}", wait=False) as alone:
        if not alone:
            return BUSY
        try:
            return _train(place, run)
        except TrainingCancelled:
            place.stores.runs.update(run_id, state=CANCELLED, ended=time.time())
            return None
        except FOR_NOW:
            raise
        except Exception:
            _try_no_more()
            raise


def _train(place: Workplace, run: Run) -> str:
    runs = place.stores.runs
    run = runs.update(run.id, state=RUNNING, started=run.started or time.time(), reason="")
    manifest, model = runs.folder(run.id) / "manifest.jsonl", runs.folder(run.id) / "model"
    if not manifest.is_file():
        place.queue.report_progress(run.id, {"stage": "reading", "stage_index": 0, "stages": 1})
        write_whole(manifest, _read_project(place, run))
    samples = _samples(place, run, manifest)
    if run.starts >= MOST_STARTS:
        raise BackendError(
            f"The process of run {run.id} died {run.starts} times, so it is not started again; look for an "
            "out-of-memory message in the worker's log, then train with a smaller backbone or on another device."
        )
    runs.update(run.id, starts=run.starts + 1, pictures=len(samples))
    classes = tuple(sorted({label for sample in samples for label in sample.labels}))
    config = TrainConfig.from_dict(run.config)
    if is_finished(model) or not is_started(model):
        logger.info("run %s: %d pictures of %s", run.id, len(samples), ", ".join(classes))
    card = fit(
        config,
        samples,
        classes,
        model,
        weights_dir=place.settings.weights_dir,
        hooks=TrainingHooks(_reporter(place, run.id), _stop_asker(place, run.id)),
        resume=is_started(model),
    )
    version = place.stores.models.publish(run.project_id, model, _facts(run, card, len(samples)), manifest)
    runs.update(run.id, state=SUCCEEDED, ended=time.time(), version=version)
    runs.clear(run.id)
    logger.info("run %s: published %s", run.id, version)
    if place.settings.preannotate:
        first = {"project_id": run.project_id, "version": version, "after_id": 0, "seen": 0, "done": 0}
        place.queue.preannotate(first)
    return version


def _read_project(place: Workplace, run: Run) -> bytes:
    """The project's labelled pictures as lines of JSON: task, picture's reference, labels."""
    client = place.label_studio()
    config = LabelConfig.parse(str(client.project(run.project_id).get("label_config", "")))
    lines, labelled, seen = [], [], 0
    for task in client.tasks(run.project_id):
        seen += 1
        if labels := given_labels(task, config):
            labelled.append(({"id": task["id"], "data": task["data"]}, labels))
    found = fetch_pictures(place.media, [task for task, _ in labelled], config, run.project_id)
    raise_if_none_for_now(found)
    for (task, labels), path in zip(labelled, found, strict=True):
        if isinstance(path, Path):
            line = {"task": task["id"], "reference": task["data"][config.image_key], "labels": list(labels)}
            lines.append(json.dumps(line, ensure_ascii=False))
    if not lines:
        raise DataError(
            f"Project {run.project_id} has {seen} tasks, {len(labelled)} with a class, and {len(lines)} of those with "
            "a picture that can be read; choose classes for some tasks (Choices) and submit them, then train again."
        )
    return ("\n".join(lines) + "\n").encode()


def _samples(place: Workplace, run: Run, manifest: Path) -> list[Sample]:
    """The frozen pictures, kept beside the run as long as it lasts."""
    samples = []
    for line in map(json.loads, manifest.read_text(encoding="utf-8").splitlines()):
        kept = place.stores.runs.folder(run.id) / "pictures" / str(line["task"])
        if not kept.is_file():
            _keep(place.media.fetch(line["reference"], run.project_id, line["task"]), kept)
        samples.append(Sample(f"task {line['task']}", kept, tuple(line["labels"])))
    return samples


def _keep(picture: Path, kept: Path) -> None:
    """A second name for a picture of the cache, which forgets; costs no space on the same disk."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        kept.hardlink_to(picture)
    except FileExistsError:
        return
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
        try:
            place.queue.report_progress(run_id, values)
        except QueueError as error:
            logger.warning("run %s: progress is not shown: %s", run_id, error)

    return report


def _stop_asker(place: Workplace, run_id: str) -> Callable[[], bool]:
    """Whether the run was cancelled; for workers that the command to stop does not reach."""
    last_s = time.monotonic()

    def should_stop() -> bool:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s < EVERY_S:
            return False
        last_s = now_s
        return place.stores.runs.read(run_id).state == CANCELLED

    return should_stop


def _try_no_more() -> None:
    """What failed for good fails once."""
    if (job := get_current_job()) is not None:
        job.retries_left = 0
