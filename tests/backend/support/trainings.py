"""Small trainings of the fake project, and how they are doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from backend.queueing.progress import PreannotationProgress
from backend.queueing.queue import JobQueue
from backend.services.training import TrainingService
from backend.settings import Settings
from backend.storage.runs import Run, RunState
from backend.storage.stores import Stores
from tests.backend.support.fake_project import PROJECT
from tests.backend.support.real_services import Workers, bulk_jobs, wait_for
from wsol_core.config import TrainConfig

SHORT, MEDIUM, ENDLESS = 2, 20, 5000  # epochs


class Trainings:
    """Runs of project 7, on whatever workers there are."""

    def __init__(self, queue: JobQueue, stores: Stores, settings: Settings) -> None:
        self.queue, self.stores = queue, stores
        self.service = TrainingService(settings, stores, queue)

    def start(self, epochs: int = SHORT) -> str:
        """A new run's id."""
        config = TrainConfig(
            backbone="tiny", epochs=epochs, batch_size=4, side_px=64, device="cpu", pretrained=False, workers=0
        )
        run = self.stores.runs.create(PROJECT, config.to_dict())
        self.queue.train(run.id)
        return run.id

    def now(self, run_id: str) -> Run:
        return self.stores.runs.read(run_id)

    def reaches_epoch(self, run_id: str, least: int) -> tuple[int, int]:
        """Stage and epoch in which it was seen first when it had reached an epoch."""

        def seen() -> tuple[int, int] | None:
            told = self.queue.progress.of_run(run_id) or {}
            place = (told.get("stage_index", 0), told.get("epoch", 0))
            return place if place >= (0, least) else None

        found = wait_for(seen)
        assert found is not None
        return found

    def preannotation_ended(self) -> bool:
        found = self.queue.progress.of_preannotation(PROJECT)
        return found is not None and found.ended and not bulk_jobs(self.queue)

    def left_out(self, version: str, tasks: int) -> Mapping[str, int]:
        """Objects by class that are not shown, once each of so many tasks has a prediction, in which nothing is shown.

        A model that has hardly learned is sure of nothing; it finds one object or several, as the machine rounds.
        """
        found = self.queue.progress.of_preannotation(PROJECT)
        assert found is not None
        ended = PreannotationProgress(version, tasks, tasks, ended=True, tasks=tasks, empty=tasks)
        assert replace(found, left_out={}) == ended
        assert sum(found.left_out.values()) >= tasks
        return found.left_out

    def forget_progress(self, run_id: str) -> None:
        self.queue.connection.delete(f"boxstrap:progress:{run_id}")

    def ends(self, run_id: str, state: str = RunState.SUCCEEDED) -> Run:
        """The record of a run that has ended as it should."""
        wait_for(lambda: self.now(run_id).ended)
        run = self.now(run_id)
        assert run.state == state, run.reason
        return run

    def versions(self) -> list[str]:
        return [version.name for version in self.stores.models.versions(PROJECT)]


def beginnings(workers: Workers, run_id: str) -> tuple[int, int]:
    """How often a run was started, and how often it went on from a checkpoint."""
    log = workers.log()
    return log.count(f"run {run_id}: starts"), log.count(f"run {run_id}: goes on")
