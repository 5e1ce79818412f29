"""Accept predictions in bulk, and take that back: annotations by the token's user, without a person's look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backend.errors import NotFoundError
from backend.labelstudio.acceptance import acceptable_prediction, accepted_annotation, is_audited, least_score
from backend.labelstudio.annotation_client import AnnotationClient
from backend.labelstudio.annotations import is_accepted_in_bulk, listed
from backend.labelstudio.label_config import LabelConfig
from backend.reports.acceptance import Acceptance, acceptance
from backend.storage.stores import Stores

OnTask = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class AcceptedTasks:
    """Counts of tasks: `accepted` now, `kept` for people to audit, `below` the score, all `others`."""

    accepted: int
    kept: int
    below: int
    others: int


class AcceptanceService:
    """Works on one Label Studio, task by task: a call that was interrupted is finished by the same one."""

    def __init__(self, stores: Stores, client: AnnotationClient) -> None:
        self._stores, self._client = stores, client

    def measure(self, project_id: str, risk: float, audit: float) -> Acceptance:
        """Return from which score on the live version's predictions are safe, as the ledger knows it.

        Args: risk: share of tasks that may be wrong. audit: share of tasks that is kept for people to judge.
        Raises: NotFoundError where no version is live.
        """
        version = self._stores.models.current(project_id)
        if version is None:
            raise NotFoundError(f"Project {project_id} has no live version; train one first.")
        rows = self._stores.feedback.rows(project_id)
        return acceptance(rows, version, risk, lambda task: is_audited(project_id, task, audit))

    def accept(
        self, project_id: str, measured: Acceptance, audit: float, on_task: OnTask, dry_run: bool = False
    ) -> AcceptedTasks:
        """Accept what `measured` shows to be safe, of tasks that nobody has worked on; with `dry_run`, count them."""
        counts = {"accepted": 0, "kept": 0, "below": 0, "others": 0}
        config = self._config(project_id)
        for seen, task in enumerate(self._client.tasks(project_id), 1):
            on_task(seen)
            prediction = acceptable_prediction(task, project_id, measured.version, config)
            if prediction is None:
                counts["others"] += 1
            elif measured.threshold is None or (least_score(prediction, config) or 0.0) < measured.threshold.threshold:
                counts["below"] += 1
            elif is_audited(project_id, int(task["id"]), audit):
                counts["kept"] += 1
            else:
                counts["accepted"] += 1
                if not dry_run:
                    self._client.add_annotation(int(task["id"]), accepted_annotation(prediction))
        return AcceptedTasks(**counts)

    def undo(self, project_id: str, on_task: OnTask, dry_run: bool = False) -> int:
        """Delete all annotations that were accepted in bulk and that nobody has saved since; return how many."""
        deleted = 0
        for seen, task in enumerate(self._client.tasks(project_id), 1):
            on_task(seen)
            for annotation in filter(is_accepted_in_bulk, listed(task, "annotations")):
                deleted += dry_run or self._client.delete_annotation(int(annotation["id"]))
        return deleted

    def _config(self, project_id: str) -> LabelConfig:
        xml = str(self._client.project(project_id).get("label_config", ""))
        return LabelConfig.parse(xml, self._stores.policies.find(project_id).renames)
