"""Draw what a model finds for the page: the least certain of a version's predictions, and a training's samples."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np

from backend.jobs.context import JobContext
from backend.jobs.manifest import Pictures, task_of
from backend.labelstudio.results import shown_of
from backend.storage.galleries import Drawable, GalleryPicture
from wsol_core.data.images import open_image
from wsol_core.errors import WsolError
from wsol_core.evaluation.overlay import draw_overlay
from wsol_core.localization.predictor import Predictor
from wsol_core.localization.worth import BOX_COSTS
from wsol_core.records import Localization, Region, Sample

logger = logging.getLogger(__name__)

PICTURES = 48  # of a new version, from which the least certain are shown until all tasks are predicted
LONGEST_PX = 360
QUALITY = 80


def show_version(context: JobContext, project_id: str, version: str, pictures: Pictures) -> None:
    """Show the least certain predictions of a version that was just published on some of its run's pictures."""
    galleries, models = context.stores.galleries, context.stores.models
    with _not_worth_a_failure(f"version {version}"):
        predictor = Predictor.open(models.folder(project_id, version), context.settings.device)
        samples = [*pictures.holdout, *pictures.train]
        samples = samples[:: max(1, len(samples) // PICTURES)][:PICTURES]
        known = set(predictor.card.classes)
        found = list(predictor.localize(samples, lambda sample: [name for name in sample.labels if name in known]))
        threshold, costs = context.score_threshold(project_id, version), context.costs(project_id, version, BOX_COSTS)
        shown = [
            drawable(task_of(sample), sample.path, shown_of(each, threshold, costs), sample.labels)
            for sample, each in zip(samples, found, strict=True)
            if isinstance(each, Localization)
        ]
        galleries.add(project_id, version, shown)
        galleries.keep(project_id, [made.name for made in models.versions(project_id)])


def show_samples(
    context: JobContext, project_id: str, run_id: str, found: Sequence[tuple[Sample, Localization]]
) -> None:
    """Show what a training finds in its samples now."""
    with _not_worth_a_failure(f"run {run_id}"):
        shown = [drawable(task_of(sample), sample.path, each, sample.labels) for sample, each in found]
        context.stores.galleries.add(project_id, run_id, shown, anew=True)


def show_least_certain(context: JobContext, project_id: str, version: str, pictures: Iterable[Drawable]) -> None:
    """Show the least certain of a version's predictions that were just made, beside those that are shown already."""
    with _not_worth_a_failure(f"version {version}"):
        context.stores.galleries.add(project_id, version, pictures)


def drawable(task: int, path: Path, found: Localization, given: Sequence[str] = ()) -> Drawable:
    """Return the task's picture with the objects that were found; without any, its classes are those `given`."""
    regions = found.regions
    labels = tuple(dict.fromkeys(region.label for region in regions)) or tuple(given) or (found.label,)
    score = round(fmean(region.score for region in regions), 4) if regions else 0.0
    shown = GalleryPicture(task, score, labels, len(regions), found.left_out)
    return Drawable(shown, partial(_jpeg, path, regions))


def _jpeg(path: Path, regions: Sequence[Region]) -> bytes:
    pixels = open_image(path)
    scale = min(1.0, LONGEST_PX / max(pixels.shape[:2]))
    size_wh = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    mask = np.logical_or.reduce([region.mask for region in regions]) if regions else None
    drawn = draw_overlay(pixels, size_wh, mask, [region.box_xyxy for region in regions])
    _, data = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()


@contextmanager
def _not_worth_a_failure(whose: str) -> Iterator[None]:
    """A picture that cannot be drawn, or a full disk, ends neither a training nor a pre-annotation."""
    try:
        yield
    except (WsolError, OSError) as error:
        logger.warning("%s: its pictures are not shown: %s", whose, error)
