"""RQ job: train a run on the project's pictures, compare the result with the live version, and publish it."""

from __future__ import annotations

import errno
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rq.job import Retry

from backend.errors import BackendError, LiveVersionChangedError
from backend.jobs.context import JobContext, job_context
from backend.jobs.first_look import as_first_look
from backend.jobs.gallery import show_version
from backend.jobs.manifest import Pictures, frozen_manifest, read_pictures
from backend.jobs.promotion_gate import judge
from backend.jobs.retrying import FOR_NOW, retried, wait_turn
from backend.jobs.run_progress import RunProgress
from backend.jobs.tracking import tracked
from backend.signals import StopRequest
from backend.storage.files import locked
from backend.storage.runs import Run, RunState
from backend.storage.version_facts import GateDecision, VersionFacts
from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, StorageError, TrainingCancelled
from wsol_core.files import is_full, next_step
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import CHECKPOINT, check_model, is_finished, is_started
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.fit import fit
from wsol_core.training.progress import TrainingHooks

logger = logging.getLogger(__name__)

MOST_STARTS = 5  # processes in a row that may die without getting further
TURN_S = 2  # between looks whether another run of the project is still being trained
MOST_JUDGEMENTS = 5  # people who activate versions all the time end with a failed run


@retried
def train(run_id: str) -> str | Retry | None:
    """Return the version that was published; None if the run was cancelled.

    Only the id crosses the queue, so a retry goes on from the last checkpoint, on any worker. What goes wrong for now
    is tried again; everything else ends the run, and its reason is kept.
    """
    context = job_context()
    run = context.stores.runs.read(run_id)
    if run.state.has_ended:
        return run.version
    worker_ends = StopRequest("")
    with (
        worker_ends.listening(),
        # The system lets go of it when the process dies: a run that was given up by mistake cannot train twice.
        locked(context.settings.home / "runs" / f".training-{run.project_id}", wait=False) as alone,
    ):
        if not alone:
            return wait_turn(TURN_S)
        try:
            with _disk_errors(), context.stores.runs.working_on(run_id):
                return _train(context, run, worker_ends.is_asked)
        except Exception as error:
            # Whatever went wrong while the worker ends: the processes that load pictures are told to end, too.
            if worker_ends.is_asked():
                context.stores.runs.update(run_id, starts=run.starts)
                return wait_turn(0)
            if isinstance(error, TrainingCancelled):
                return None
            if isinstance(error, FOR_NOW):
                with suppress(StorageError):  # the very disk that is full
                    context.stores.runs.update(run_id, starts=run.starts, reason=f"Is tried again: {error}")
            raise


def _train(context: JobContext, run: Run, worker_ends: Callable[[], bool]) -> str:
    run = as_first_look(context, _begin(context, run))
    runs, models = context.stores.runs, context.stores.models
    model = runs.folder(run.id) / "model"
    if (version := models.of_run(run.project_id, run.id)) is None:
        context.stores.require_model_store(run.project_id)
        models.require_room(run.project_id)
        progress = RunProgress(context, run)
        manifest = frozen_manifest(context, run, progress.reading, progress.fetched)
        pictures = read_pictures(manifest)
        progress.compared_on(len(pictures.holdout))
        card = _fit(context, run, pictures, model, progress.hooks(worker_ends))
        progress.phase("comparing", "The new version is compared with the live one.")
        context.stores.require_model_store(run.project_id)  # it may have gone meanwhile
        version = _publish(context, run, card, pictures, manifest)
        progress.phase("showing", f"{version} is kept; its least certain predictions are looked for.")
        show_version(context, run.project_id, version, pictures)
    gate = models.facts(run.project_id, version).gate
    if gate is not None and gate.promoted:
        models.ensure_live(run.project_id, version, over=gate.against)
    if context.settings.preannotate and models.current(run.project_id) == version:
        # Before the run counts as done: whoever dies in between does it again.
        context.queue.begin_preannotation(run.project_id, version)
    runs.update(run.id, state=RunState.SUCCEEDED, ended=time.time(), version=version, gate=gate)
    runs.clear(run.id)
    logger.info("run %s: published %s", run.id, version)
    return version


def _fit(context: JobContext, run: Run, pictures: Pictures, model: Path, hooks: TrainingHooks) -> ModelCard:
    """Return the trained model's card; training begins with the live version's weights, or resumes its checkpoint."""
    context.stores.runs.update(run.id, pictures=len(pictures.train))
    classes, live = pictures.classes, context.live_model(run.project_id)
    logger.info(
        "run %s: %s with %d pictures of %s", run.id, _starting_point(model), len(pictures.train), ", ".join(classes)
    )
    config, settings = TrainConfig.from_dict(run.config), context.settings
    logs = settings.home / "logs" / run.id  # the run's own folder goes when it ends
    with tracked(hooks, settings.train_log, logs, run.id, config) as told:
        return fit(
            config,
            pictures.train,
            classes,
            model,
            weights_dir=settings.weights_dir,
            hooks=told,
            resume=_can_go_on(run, model),
            backgrounds=pictures.empty,
            unseen=[sample for sample in pictures.holdout if sample.labels],
            warm_start=context.stores.models.folder(run.project_id, live) if live else None,
        )


def _publish(context: JobContext, run: Run, card: ModelCard, pictures: Pictures, manifest: Path) -> str:
    """Publish the new version, live if the gate lets it; the gate decides anew if the live version has changed."""
    model = context.stores.runs.folder(run.id) / "model"
    for _ in range(MOST_JUDGEMENTS):
        gate = judge(context, run.project_id, model, card, pictures.holdout)
        facts = _facts(run, card, pictures, gate)
        try:
            return context.stores.models.publish(
                run.project_id, model, facts, manifest, live=gate.promoted, over=gate.against
            )
        except LiveVersionChangedError as error:
            logger.info("run %s: %s", run.id, error)
    raise BackendError(f"The live version of project {run.project_id} changed {MOST_JUDGEMENTS} times; train again.")


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Inside, what a full or read-only disk refuses is a StorageError, whoever was writing."""
    try:
        yield
    except OSError as error:
        if is_full(error) or error.errno == errno.EROFS:
            raise StorageError(f"{error}; {next_step(error)}.", is_full(error)) from error
        raise


def _begin(context: JobContext, run: Run) -> Run:
    """Return the run, begun once more. Raises: BackendError if it keeps killing its processes."""
    runs, now = context.stores.runs, time.time()
    checkpoint = runs.folder(run.id) / "model" / CHECKPOINT
    got_further = run.begun is not None and checkpoint.is_file() and checkpoint.stat().st_mtime > run.begun
    starts = 1 if got_further else run.starts + 1
    if starts > MOST_STARTS:
        raise BackendError(
            f"The process of run {run.id} died {run.starts} times, so it is not started again; look for an "
            "out-of-memory message in the worker's log, then train with a smaller backbone or on another device."
        )
    return runs.update(run.id, state=RunState.RUNNING, started=run.started or now, begun=now, starts=starts, reason="")


def _can_go_on(run: Run, model: Path) -> bool:
    """Return whether the run has a checkpoint or a finished model; a damaged one is removed, and it begins anew."""
    if not is_started(model):
        return False
    try:
        check_model(model) if is_finished(model) else load_checkpoint(model)
    except CheckpointError as error:
        logger.warning("run %s begins anew: %s", run.id, error)
        shutil.rmtree(model)
        return False
    return True


def _starting_point(model: Path) -> str:
    if is_finished(model):
        return "has been trained"
    return "goes on from its checkpoint" if is_started(model) else "starts"


def _facts(run: Run, card: ModelCard, pictures: Pictures, gate: GateDecision) -> VersionFacts:
    return VersionFacts(
        run=run.id,
        trigger=run.trigger,
        classes=tuple(card.classes),
        pictures=len(pictures.train),
        corrected=sum(bool(sample.regions) for sample in pictures.train),
        holdout=len(pictures.holdout),
        metrics=dict(card.metrics),
        config=card.config.to_dict(),
        code_version=card.code_version,
        gate=gate,
        faults=card.faults,
    )
