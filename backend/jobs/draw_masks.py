"""Find a mask for each box that people drew without one, and write it beside the box: as a prediction or as a draft."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from backend.errors import ImageError, NotFoundError, RequestError
from backend.jobs.context import JobContext
from backend.jobs.fetch_images import fetch_views
from backend.labelstudio.annotations import WITH_MASKS, listed
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.missing_masks import (
    MissingMasks,
    has_masks,
    mask_config,
    missing_masks,
    opens_with_draft,
    prediction_with_masks,
    with_masks,
)
from backend.labelstudio.results import to_prediction
from backend.labelstudio.task_labels import class_of
from backend.labelstudio.task_views import TaskView, views_of
from wsol_core.data.images import open_image_small
from wsol_core.errors import DataError
from wsol_core.localization.interactive import BoxPrompt, localize_prompted
from wsol_core.localization.predictor import Predictor
from wsol_core.records import BoxXyxy, Localization, Region

logger = logging.getLogger(__name__)

Json = dict[str, Any]
OnTask = Callable[[int], None]


@dataclass(slots=True)
class DrawnMasks:
    """Counts: `masks` of boxes, in so many `drafts` and `predictions`. known, unreadable: tasks that had theirs, and
    those whose picture cannot be read.
    """

    masks: int = 0
    drafts: int = 0
    predictions: int = 0
    known: int = 0
    unreadable: int = 0


def draw_masks(
    context: JobContext, project_id: str, as_drafts: bool, on_task: OnTask, dry_run: bool = False
) -> DrawnMasks:
    """Write masks for all boxes of a project without one; the same call again writes what has come since.

    Args: as_drafts: as drafts where the annotation is the token's user's, who alone sees them; else as predictions.
        on_task: told how many tasks have been looked at. dry_run: count, and write nothing.
    Raises: NotFoundError where no version is live. RequestError where the labeling config has no tag for masks.
    """
    client, version = context.label_studio(), context.stores.models.current(project_id)
    if version is None:
        raise NotFoundError(f"Project {project_id} has no live version, which finds the masks; train one first.")
    config = context.label_config(project_id, str(client.project(project_id).get("label_config", "")))
    if not config.varies and not mask_config(config).controls:
        raise RequestError(
            f"The labeling config of project {project_id} has no tag for masks; add BitmaskLabels, PolygonLabels or "
            "BrushLabels with the labels of its boxes."
        )
    user = int(client.whoami()["id"]) if as_drafts else None
    work = _Project(client, context, project_id, version, user, dry_run)
    for seen, task in enumerate(client.tasks(project_id), 1):
        on_task(seen)
        work.draw(task, config)
    return work.done


@dataclass(slots=True)
class _Project:
    client: LabelStudioClient
    context: JobContext
    project_id: str
    version: str
    user: int | None
    dry_run: bool
    done: DrawnMasks = field(default_factory=DrawnMasks)

    def draw(self, task: Json, config: LabelConfig) -> None:
        """Write the masks that a task's boxes lack."""
        found = [(view, bare) for view in views_of(task, config) if (bare := missing_masks(view.task, view.config))]
        if not found:
            return
        annotation = found[0][1].annotation
        draft = self.user is not None and opens_with_draft(task, annotation, self.user)
        known = prediction_with_masks(task) if not draft else next(iter(listed(task, "drafts")), None)
        if known is not None and has_masks(known, annotation):
            self.done.known += 1
            return
        boxes = sum(len(bare.objects) for _, bare in found)
        masks = [] if self.dry_run else [each for view, bare in found for each in self._masks(view, bare)]
        if not masks and not self.dry_run:
            self.done.unreadable += 1
            return
        self.done.masks += boxes if self.dry_run else len({each["id"].rpartition("-")[0] for each in masks})
        self.done.drafts += draft
        self.done.predictions += not draft
        if not self.dry_run:
            self._write(task, config, annotation, masks, known, draft)

    def _write(
        self,
        task: Json,
        config: LabelConfig,
        annotation: Mapping[str, Any],
        masks: Sequence[Json],
        known: Mapping[str, Any] | None,
        draft: bool,
    ) -> None:
        result = with_masks(annotation, masks)
        if draft and known is not None:
            self.client.change_draft(int(known["id"]), result)
        elif draft:
            self.client.add_draft(int(task["id"]), int(annotation["id"]), result)
        else:
            score = round(fmean(float(each["score"]) for each in masks), 4)
            values = {"result": result, "score": score, "model_version": self.version + WITH_MASKS}
            if known is not None:
                self.client.change_prediction(int(known["id"]), task=task["id"], **values)
            else:
                self.client.import_predictions(self.project_id, [{"task": task["id"], **values}], config.xml)

    def _masks(self, view: TaskView, missing: MissingMasks) -> list[Json]:
        """Return the results for the masks of a picture's boxes; none where the picture cannot be read."""
        [path] = fetch_views(self.context.media, [view], self.project_id)
        if isinstance(path, ImageError):
            return []
        self.version, predictor = self.context.predictor(self.project_id, self.version)
        name = f"task {view.task.get('id')}"
        try:
            _, size_wh = open_image_small(path, 32, name)
            regions = [
                self._region(predictor, view.config, path, box.box_in(size_wh), box.label) for box in missing.objects
            ]
        except DataError as error:
            logger.warning("project %s, %s: %s", self.project_id, name, error)
            return []
        found = tuple(region for region in regions if region is not None)
        localization = Localization(name, size_wh, {region.label: region.score for region in found}, found)
        only_masks = mask_config(view.config)
        return list(to_prediction(localization, only_masks, self.version, score_threshold=0.0)["result"])

    @staticmethod
    def _region(predictor: Predictor, config: LabelConfig, path: Path, box_xyxy: BoxXyxy, label: str) -> Region | None:
        learned = class_of(label, config, predictor.card.classes) or label
        return localize_prompted(predictor, path, BoxPrompt(box_xyxy), learned)
