"""Retraining: asks what people corrected, and starts the trainings that a project's policy wants.

Everything it decides from is on disk, so it goes on after a restart as if there had been none.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

from backend.errors import BackendError, DamagedFileError, QueueError
from backend.queueing.queue import JobQueue
from backend.services.projects import ProjectService
from backend.services.retraining_rules import Decision, Facts, decide
from backend.services.training import TrainingService
from backend.settings import Settings
from backend.storage.policies import Policy
from backend.storage.runs import RunState
from backend.storage.stores import Stores
from wsol_core.errors import WsolError

logger = logging.getLogger(__name__)

POLL_S = 20.0  # between looks at a project whose events may be lost; later tasks wait as long for their predictions


@dataclass(frozen=True, slots=True)
class RetrainingStatus:
    """How a project stands. Counts are of tasks; corrected: since the last training that did not fail.

    reason: why a training does or does not start by itself now. outcomes: open, accepted, corrected, skipped -> tasks.
    observed: when Label Studio was last asked, in seconds since 1970; None: not yet.
    """

    project: str
    starts: bool
    reason: str
    corrected: int
    class_counts: dict[str, int]
    outcomes: dict[str, int]
    observed: float | None


class RetrainingService:
    """Reads and changes policies, and starts the trainings that they want."""

    def __init__(
        self, settings: Settings, stores: Stores, queue: JobQueue, projects: ProjectService, training: TrainingService
    ) -> None:
        self._stores, self._queue, self._projects, self._training = stores, queue, projects, training
        self._asks = bool(settings.label_studio_url and settings.label_studio_api_key)
        self._asked: dict[str, float] = {}

    def tick(self, now: float | None = None) -> None:
        """Look at all projects once; an error of one is logged and keeps no other from its training.

        Raises: QueueError where Redis does not answer.
        """
        now = time.time() if now is None else now
        try:
            self._stores.policies.note_default()
        except WsolError as error:  # a full disk
            logger.warning("%s", error)
        for project in self._projects.all():
            try:
                self._request_sync(project.id, now)
                self._start(project.id, now)
            except QueueError:
                raise
            except (BackendError, WsolError) as error:
                logger.warning("project %s: %s", project.id, error)

    def policy(self, project_id: str) -> Policy:
        """Return the project's policy. Raises: NotFoundError if it was never set up."""
        self._projects.require(project_id)
        return self._stores.policies.find(project_id)

    def change_policy(self, project_id: str, **changes: Any) -> Policy:
        """Change and return the policy. Raises: RequestError for a value, NotFoundError for the project."""
        self._projects.require(project_id)
        changed = self._stores.policies.change(project_id, **changes)
        logger.info("project %s: its policy is %s", project_id, changed)
        return changed

    def decision(self, project_id: str, now: float | None = None) -> Decision:
        """Return whether the policy wants a training now, and why; none starts while the ledger cannot be read."""
        policy = self._stores.policies.find(project_id)
        try:
            facts = self._facts(project_id, policy)
        except DamagedFileError as error:
            return Decision(False, str(error))
        return decide(policy, facts, time.time() if now is None else now)

    def status(self, project_id: str, now: float | None = None) -> RetrainingStatus:
        """Return the decision and what it rests on; needs no Redis. Raises: NotFoundError if it was never set up."""
        self._projects.require(project_id)
        policy, feedback = self._stores.policies.find(project_id), self._stores.feedback
        facts = self._facts(project_id, policy)
        found = decide(policy, facts, time.time() if now is None else now)
        return RetrainingStatus(
            project=project_id,
            starts=found.start,
            reason=found.reason,
            corrected=facts.corrected,
            class_counts=feedback.class_counts(project_id),
            outcomes=feedback.outcome_counts(project_id),
            observed=self._synced(project_id),
        )

    def _request_sync(self, project_id: str, now: float) -> None:
        asked = max(self._asked.get(project_id, 0.0), self._synced(project_id) or 0.0)
        if self._asks and now - asked >= POLL_S:
            self._queue.sync_annotations(project_id)
            self._asked[project_id] = now

    def _start(self, project_id: str, now: float) -> None:
        found = self.decision(project_id, now)
        if found.start and (run := self._training.start_if_idle(project_id, found.trigger)) is not None:
            logger.info("project %s: run %s is queued: %s", project_id, run.id, found.trigger)

    def _synced(self, project_id: str) -> float | None:
        cursor = self._stores.feedback.cursor(project_id)
        return None if cursor is None else cursor.synced

    def _facts(self, project_id: str, policy: Policy) -> Facts:
        """Return what `policy` needs to know."""
        feedback, runs = self._stores.feedback, self._stores.runs.of_project(project_id)
        active = [run for run in runs if not run.state.has_ended]
        last = next((run for run in runs if run.state.has_ended), None)
        counted = next((run.created for run in runs if run.state not in (RunState.FAILED, RunState.CANCELLED)), 0.0)
        first = not any(run.state == RunState.SUCCEEDED for run in runs) and not self._projects.published(project_id)
        synced, anew = self._synced(project_id) is not None, 0
        if last is not None and last.state != RunState.SUCCEEDED:
            ask = feedback.changed_since if first else feedback.corrected_since
            anew = ask(project_id, last.ended or last.created)
        return Facts(
            first=first,
            active=active[-1] if active else None,
            last=last,
            corrected=feedback.corrected_since(project_id, counted),
            anew=anew,
            changed=not policy.cron or not synced or feedback.changed_since(project_id, counted) > 0,
            synced=synced,
            class_counts=feedback.class_counts(project_id) if first else {},
        )


def show_policy(policy: Policy) -> dict[str, Any]:
    """Return the policy as plain values, as people choose them."""
    shown = asdict(policy)
    shown.pop("since")
    shown.pop("renames")  # `boxstrap classes` shows them
    return shown
