"""RQ job: predict the tasks of one /predict, or the object in a drawn box or at a clicked point."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backend.errors import BackendError, ImageError
from backend.jobs.context import JobContext, job_context
from backend.jobs.fetch_images import fetch_images
from backend.jobs.retrying import retried
from backend.labelstudio.empty_prediction import empty_prediction
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_check import check_prediction
from backend.labelstudio.prompts import Prompt, newest_prompt
from backend.labelstudio.results import to_prediction
from backend.labelstudio.task_labels import image_labels
from backend.queueing.messages import PredictionRequest
from wsol_core.data.images import open_image_small
from wsol_core.errors import DataError
from wsol_core.localization.interactive import BoxPrompt, PointPrompt, localize_prompted
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Localization, Sample

logger = logging.getLogger(__name__)

Json = dict[str, Any]


@retried
def predict(call: Mapping[str, Any]) -> list[Json]:
    """Return one prediction for each task, in their order. Args: call: a PredictionRequest as JSON."""
    context, request = job_context(), PredictionRequest.from_dict(call)
    config = LabelConfig.parse(request.label_config)
    if request.context is not None:
        prompt = newest_prompt(request.context)
        return [_predict_prompted(context, request, index, config, prompt) for index in range(len(request.tasks))]
    found = predict_tasks(context, request.project_id, request.version, request.tasks, config, request.files)
    return [each.prediction for each in found]


@dataclass(frozen=True, slots=True)
class Predicted:
    """A task's prediction, what it was made of (None where the picture cannot be used), and the picture's classes as
    people have given them, in the model's words.
    """

    prediction: Json
    localization: Localization | None
    labels: tuple[str, ...]


def predict_tasks(
    context: JobContext,
    project_id: str,
    version: str,
    tasks: Sequence[Mapping[str, Any]],
    config: LabelConfig,
    files: Mapping[int, Path] = MappingProxyType({}),
) -> list[Predicted]:
    """Return one prediction for each task; an empty one, and a logged reason, if the picture cannot be used.

    Where the version's files are damaged, the one that is live instead predicts, and is named.
    """
    version, predictor = context.predictor(project_id, version)
    found = fetch_images(context.media, tasks, config, project_id, files)
    localized = _localize(predictor, tasks, found, config)
    chosen = context.stores.policies.find(project_id).score_threshold
    threshold = context.settings.score_threshold if chosen is None else chosen
    return [
        Predicted(_prediction(task, localization, config, version, threshold, labels), localization, labels)
        for task, (localization, labels) in zip(tasks, localized, strict=True)
    ]


def _localize(
    predictor: Predictor, tasks: Sequence[Mapping[str, Any]], found: Sequence[Path | ImageError], config: LabelConfig
) -> list[tuple[Localization | None, tuple[str, ...]]]:
    """Return what was found in each task's picture, and the classes that people gave it."""
    labels = [image_labels(task, config, predictor.card.classes) for task in tasks]
    readable = [index for index, path in enumerate(found) if isinstance(path, Path)]
    samples = [Sample(str(index), Path(str(found[index])), labels[index]) for index in readable]
    results: list[tuple[Localization | None, tuple[str, ...]]] = [(None, given) for given in labels]
    localized = predictor.localize(samples, lambda sample: sample.labels or None)
    for index, result in zip(readable, localized, strict=True):
        if isinstance(result, Localization):
            results[index] = (result, labels[index])
        else:
            logger.warning("task %r: %s", tasks[index].get("id"), result.reason)
    return results


def _prediction(
    task: Mapping[str, Any],
    localization: Localization | None,
    config: LabelConfig,
    version: str,
    threshold: float,
    labels: Sequence[str] = (),
) -> Json:
    """Return the checked prediction: Label Studio accepts what it cannot show, without an error."""
    if localization is None:
        return empty_prediction(version)
    prediction = to_prediction(localization, config, version, score_threshold=threshold, chosen=tuple(labels))
    try:
        check_prediction(prediction, config)
    except BackendError as error:
        logger.error("task %r: a fault of the program, so nothing is predicted: %s", task.get("id"), error)
        return empty_prediction(version)
    return prediction


def _predict_prompted(
    context: JobContext, request: PredictionRequest, index: int, config: LabelConfig, prompt: Prompt | None
) -> Json:
    """Return the object in the newest box, or at the newest point, that the person drew; empty without one."""
    version, project_id, task = request.version, request.project_id, request.tasks[index]
    files = {0: request.files[index]} if index in request.files else {}
    path = fetch_images(context.media, [task], config, project_id, files)[0]
    if prompt is None or isinstance(path, ImageError):
        return empty_prediction(version)
    version, predictor = context.predictor(project_id, version)
    _, (width, height) = open_image_small(path, 32, f"task {task.get('id')}")
    x, y, w, h = (share * side for share, side in zip(prompt.xywh, (width, height, width, height), strict=True))
    where = BoxPrompt((x, y, x + w, y + h)) if prompt.is_box else PointPrompt(x, y)
    try:
        region = localize_prompted(predictor, path, where, prompt.label)
    except DataError as error:
        logger.warning("task %r: %s", task.get("id"), error)
        region = None
    if region is None:
        return empty_prediction(version)
    localization = Localization(str(task.get("id")), (width, height), {region.label: region.score}, (region,))
    regions_only = replace(config, controls=config.region_controls)
    return _prediction(task, localization, regions_only, version, 0.0)
