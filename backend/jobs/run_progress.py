"""Tell how far a run is, from its first task to its last prediction: progress in Redis, warnings in the run's record.

Shares and times left are of everything that a person waits for: reading tasks, training, choosing thresholds,
comparing with the live version, and writing predictions. A Redis that is away does not stop a training.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from backend.errors import QueueError
from backend.jobs.context import JobContext
from backend.jobs.gallery import PICTURES, show_samples
from backend.storage.runs import Run, RunState
from wsol_core.training.progress import EpochSamples, Notice, Progress, TrainingHooks

logger = logging.getLogger(__name__)

EVERY_S = 0.5  # progress is reported, and cancelling noticed
USUAL_TRAINING_S, USUAL_IMAGE_S = 420.0, 0.1  # before anything is measured: a training, and localizing an image
MOST_SHARE = 0.99  # before the end, whatever is estimated

Json = dict[str, Any]


class RunProgress:
    """What one process of a run tells."""

    def __init__(self, context: JobContext, run: Run) -> None:
        """Args: run: as it has begun."""
        self._context, self._run = context, run
        self._began_s = time.monotonic()
        self._last_s = -EVERY_S
        self._training_began_s: float | None = None
        self._image_s = USUAL_IMAGE_S
        self._tasks = self._compared = self._samples = 0
        self._said = self._problem = ""
        self._values: Json = {}

    def reading(self, seen: int, tasks: int) -> None:
        """`seen` of the project's `tasks` (0: nobody knows) have been read."""
        self._tasks = max(tasks, seen)
        notice = f"{seen} of {self._tasks} tasks are read." if tasks else f"{seen} tasks are read."
        self._prepare(seen, self._tasks, notice)

    def fetched(self, seen: int, pictures: int) -> None:
        """The pictures of `seen` of the tasks with `pictures` to learn from are on this machine."""
        self._prepare(seen, pictures, f"Pictures of {seen} of {pictures} tasks are there.")

    def _prepare(self, done: int, most: int, notice: str) -> None:
        now_s = time.monotonic()
        preparing_left_s = (now_s - self._began_s) * max(0, most - done) / max(1, done)
        left_s = preparing_left_s + self._expected_training_s() + self._afterwards_s()
        self._report({"stage": "reading", "step": done, "steps": most}, now_s - self._began_s, left_s, notice)

    def compared_on(self, pictures: int) -> None:
        """The new version will be compared with the live one on so many pictures."""
        self._compared = pictures

    def phase(self, stage: str, notice: str) -> None:
        """What is done after the training: `notice` says it in a sentence."""
        self._report({"stage": stage}, time.monotonic() - self._began_s, self._afterwards_s(), notice)

    def hooks(self, worker_ends: Callable[[], bool]) -> TrainingHooks:
        """Return the hooks of the run's training."""
        self._training_began_s = time.monotonic()
        return TrainingHooks(self._step, self._stop_asker(worker_ends), self._notice, self._show)

    def _step(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s < EVERY_S:
            return
        self._last_s = now_s
        before_s = (self._training_began_s or now_s) - self._began_s
        left_s = progress.seconds_left + self._afterwards_s()
        self._report(progress.to_values(), before_s + progress.seconds_done, left_s, self._said)

    def _notice(self, notice: Notice) -> None:
        if notice.warns:
            # A run that went on on another machine has been told another number of minutes; the newest holds.
            self._context.stores.runs.update(self._run.id, warnings=(notice.text,))
            return
        self._said = notice.text
        if self._values:
            self._write({**self._values, "notice": notice.text, "at": time.time()})

    def _show(self, samples: EpochSamples) -> None:
        self._image_s = samples.seconds / max(1, len(samples.found))
        self._samples += 1
        show_samples(self._context, self._run.project_id, self._run.id, samples.found)

    def _stop_asker(self, worker_ends: Callable[[], bool]) -> Callable[[], bool]:
        """Return a hook that says whether to stop: the worker ends, or the run's record says that it was cancelled."""
        last_s = time.monotonic()

        def should_stop() -> bool:
            nonlocal last_s
            now_s = time.monotonic()
            if worker_ends() or now_s - last_s < EVERY_S:
                return worker_ends()
            last_s = now_s
            return self._context.stores.runs.read(self._run.id).state == RunState.CANCELLED

        return should_stop

    def _afterwards_s(self) -> float:
        """Seconds from the end of the training until every task has its prediction."""
        writes = self._tasks if self._context.settings.preannotate else 0
        return self._image_s * (2 * self._compared + PICTURES + writes)

    def _expected_training_s(self) -> float:
        """Seconds that the training takes, before it says so itself: as it was asked for, or as the last one took."""
        if self._context.settings.train_minutes:
            return 60.0 * self._context.settings.train_minutes
        before = (run for run in self._context.stores.runs.of_project(self._run.project_id) if run.version)
        return next((run.ended - run.started for run in before if run.ended and run.started), USUAL_TRAINING_S)

    def _report(self, values: Mapping[str, Any], done_s: float, left_s: float, notice: str) -> None:
        share = min(MOST_SHARE, done_s / max(1e-9, done_s + left_s))
        known = {"share": round(share, 4), "seconds_left": round(left_s, 1), "samples": self._samples}
        self._values = {**values, **known, "notice": notice, "at": time.time()}
        self._write(self._values)

    def _write(self, values: Mapping[str, Any]) -> None:
        problem = ""
        try:
            self._context.queue.progress.report_run(self._run.id, values)
        except QueueError as error:
            problem = str(error)
            if not self._problem:
                logger.warning("run %s: progress is not shown: %s", self._run.id, error)
        self._problem = problem
