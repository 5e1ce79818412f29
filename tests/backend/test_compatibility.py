"""A BOXSTRAP_HOME that Boxstrap 0.1 wrote is opened, read and gone on with: stores, queued jobs, a run half trained."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.jobs.context import job_context
from backend.queueing.messages import PreannotationChunk
from backend.queueing.queue import BULK, PREDICT, TRAIN, JobQueue
from backend.queueing.rq_adapter import QueuedJob, open_queue
from backend.settings import Settings
from backend.storage.ledger_rows import ClassDoubt, Fate
from backend.storage.runs import RunState
from backend.storage.stores import Stores, open_stores
from tests.backend.support.embedded_redis import redis_in, short_home
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Localization, Sample

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ROOT / "tests" / "fixtures" / "home_0_1.tar.xz"
WORK_ONCE = """
from backend.processes.worker import make_worker
from backend.settings import Settings
make_worker(("boxstrap-train",), Settings.from_env()).work(burst=True)
"""
PROJECT, FIRST, SECOND = "7", "boxstrap-7-0001", "boxstrap-7-0002"
SUCCEEDED, CUT_OFF, CANCELLED, FAILED = (
    f"7-20261127-{name}" for name in ("125727-7c4187", "125730-341471", "125730-0819e0", "125730-14108f")
)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Those of an installation in the folder as it was written."""
    for name in ("REDIS_URL", "MODEL_DIR", "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with short_home() as home, tarfile.open(WRITTEN) as archive:
        archive.extractall(home, filter="data")
        for name, value in {
            "BOXSTRAP_HOME": str(home),
            "PREANNOTATE": "0",
            "DEVICE": "cpu",
            "TRAIN_CRON": "0 3 * * *",
        }.items():
            monkeypatch.setenv(name, value)
        job_context.cache_clear()
        yield Settings.from_env()
        job_context.cache_clear()


@pytest.fixture
def stores(settings: Settings) -> Stores:
    return open_stores(settings)


@pytest.fixture
def queue(settings: Settings) -> Iterator[JobQueue]:
    with redis_in(settings.home) as queue:
        yield queue


def test_runs_are_read_in_every_state(stores: Stores) -> None:
    runs = {run.id: run for run in stores.runs.of_project(PROJECT)}
    assert {run_id: run.state for run_id, run in runs.items()} == {
        SUCCEEDED: RunState.SUCCEEDED,
        CUT_OFF: RunState.RUNNING,
        CANCELLED: RunState.CANCELLED,
        FAILED: RunState.FAILED,
    }
    assert (runs[SUCCEEDED].version, runs[SUCCEEDED].pictures) == (FIRST, 24)
    assert (runs[FAILED].trigger, runs[FAILED].reason) == (
        "cron 0 3 * * *",
        "Project 7 has 3 tasks, 0 with a class.",
    )


def test_versions_projects_and_policies_are_read(stores: Stores) -> None:
    assert [version.name for version in stores.models.versions(PROJECT)] == [FIRST]
    assert stores.models.current(PROJECT) == FIRST
    assert stores.models.of_run(PROJECT, SUCCEEDED) == FIRST
    [project] = stores.projects.all()
    assert (project.id, project.title, project.hostname) == ("7", "Crabs", "http://label-studio:8080")
    policy = stores.policies.find(PROJECT)
    assert (policy.cron, policy.since) == ("0 3 * * *", 1795784235.5989227)
    assert (policy.every, policy.quiet, policy.sampling, policy.score_threshold) == (
        20,
        "22:00-07:00",
        "uncertainty",
        0.2,
    )


def test_the_feedback_ledger_is_read(stores: Stores) -> None:
    rows = stores.feedback.rows(PROJECT)
    assert [(row.task, row.outcome, row.version) for row in rows] == [
        (1, "accepted", FIRST),
        (2, "corrected", FIRST),
        (3, "corrected", None),
    ]
    assert rows[1].doubt == ClassDoubt(given=("crab",), seen="snail", probability=0.93)
    [found] = rows[1].objects
    assert (found.label, found.fate, found.box_iou, found.mask_iou) == ("crab", Fate.EDITED, 2 / 3, None)
    assert stores.feedback.corrected_since(PROJECT, 0) == 2
    cursor = stores.feedback.cursor(PROJECT)
    assert cursor is not None and cursor.updated_at == "2026-11-03T10:00:00+00:00"


def test_queued_jobs_find_their_functions_and_callbacks(queue: JobQueue) -> None:
    jobs = [
        QueuedJob.fetch(job_id, connection=queue.connection, serializer=each.serializer)
        for each in (open_queue(name, queue.connection) for name in (TRAIN, PREDICT, BULK))
        for job_id in each.job_ids
    ]
    assert [job.func.__name__ for job in jobs] == ["train", "authorize_webhook", "sync_annotations", "preannotate"]
    callbacks = [found for job in jobs for found in (job.failure_callback, job.success_callback) if found is not None]
    assert [callback.__name__ for callback in callbacks] == ["training_failed", "chunk_done"]
    assert jobs[0].args == [CUT_OFF]
    assert PreannotationChunk.from_dict(jobs[-1].args[0]) == PreannotationChunk(PROJECT, FIRST)
    assert queue.requested_syncs(PROJECT) == {"changes": 1, "full": 1}


@pytest.mark.slow
def test_a_training_goes_on_from_its_checkpoint_and_is_published(
    queue: JobQueue, stores: Stores, settings: Settings, tmp_path: Path
) -> None:
    folder = stores.runs.folder(CUT_OFF)
    pictures = shutil.copytree(folder / "pictures", tmp_path / "pictures")  # the run removes its own
    history = (folder / "model" / "history.jsonl").read_text(encoding="utf-8")
    # A process of its own: this one may have loaded torch, whose threads a fork leaves behind.
    subprocess.run([sys.executable, "-c", WORK_ONCE], cwd=ROOT, check=True, timeout=300)
    run = stores.runs.read(CUT_OFF)
    assert (run.state, run.version) == (RunState.SUCCEEDED, SECOND), run.reason
    assert run.begun is not None and run.started is not None and run.begun > run.started
    assert queue.status(CUT_OFF) == "finished"
    version = stores.models.folder(PROJECT, SECOND)
    assert (version / "history.jsonl").read_text(encoding="utf-8").startswith(history)
    samples = [Sample(name, pictures / name, labels=()) for name in ("1", "2")]
    for name in (FIRST, SECOND):
        found = list(Predictor.open(stores.models.folder(PROJECT, name), "cpu").localize(samples))
        assert [set(each.scores) for each in found if isinstance(each, Localization)] == [{"ladybird", "fish"}] * 2
