"""RQ job: predict the tasks of one /predict, or the object in a drawn box or at a clicked point."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

from backend.errors import BackendError, ImageError
from backend.jobs.context import JobContext, job_context, warn_once
from backend.jobs.fetch_images import fetch_views
from backend.jobs.gallery import drawable
from backend.jobs.retrying import retried
from backend.labelstudio.annotations import listed
from backend.labelstudio.controls import CHOICE_KINDS
from backend.labelstudio.empty_prediction import empty_prediction
from backend.labelstudio.label_config import LabelConfig, unknown_classes, unknown_sentence
from backend.labelstudio.prediction_check import check_prediction
from backend.labelstudio.prompt_marks import marks_of
from backend.labelstudio.prompts import Prompt, newest_prompt, with_earlier
from backend.labelstudio.results import costs_of, shown_of, to_prediction
from backend.labelstudio.task_labels import class_of, image_labels
from backend.labelstudio.task_views import TaskView, all_views
from backend.queueing.messages import PredictionRequest
from backend.queueing.progress import PromptStore
from backend.storage.galleries import Drawable
from wsol_core.data.images import open_image_small
from wsol_core.errors import DataError
from wsol_core.localization.hints import NO_HINTS, Hints
from wsol_core.localization.interactive import BoxPrompt, PointPrompt, localize_prompted
from wsol_core.localization.predictor import Predictor
from wsol_core.localization.worth import Costs
from wsol_core.records import Localization, Sample, Unreadable

logger = logging.getLogger(__name__)

Json = dict[str, Any]


@retried
def predict(call: Mapping[str, Any]) -> list[Json]:
    """Return one prediction for each task, in their order. Args: call: a PredictionRequest as JSON."""
    context, request = job_context(), PredictionRequest.from_dict(call)
    config = context.label_config(request.project_id, request.label_config)
    if request.context is not None:
        return [_predict_prompted(context, request, task, config, request.context) for task in request.tasks]
    found = predict_each(context, request.project_id, request.version, request.tasks, config, request.files)
    return [each.prediction for each in found]


@dataclass(frozen=True, slots=True)
class Predicted:
    """A task's prediction, what it was made of (None where the picture cannot be used), and the picture's classes as
    people have given them, in the model's words. `drawable` is the picture with the objects that are predicted, and
    `left_out` has the class of each object that is not shown, since it would cost people more time than it saves.
    """

    prediction: Json
    localization: Localization | None
    labels: tuple[str, ...]
    drawable: Drawable | None = None
    left_out: tuple[str, ...] = ()


def predict_each(
    context: JobContext,
    project_id: str,
    version: str,
    tasks: Sequence[Mapping[str, Any]],
    config: LabelConfig,
    files: Mapping[int, Path] = MappingProxyType({}),
) -> Iterator[Predicted]:
    """Yield one prediction for each task; an empty one, and a logged reason, if the picture cannot be used.

    Where the version's files are damaged, the one that is live instead predicts, and is named.
    """
    version, predictor = context.predictor(project_id, version)
    if unknown := unknown_classes(config, predictor.card.classes):
        warn_once(project_id, unknown_sentence(project_id, version, unknown))
    views = all_views(tasks, config)
    found = fetch_views(context.media, views, project_id, files)
    threshold = context.score_threshold(project_id, version)
    costs = context.costs(project_id, version, costs_of(config))
    parts: list[Predicted] = []  # of one task
    for view, path, (localization, labels) in zip(views, found, _localize(predictor, views, found), strict=True):
        if view.index == 0 and parts:
            yield _together(parts)
            parts = []
        seen = localization and shown_of(localization, threshold, costs)
        prediction = _prediction(view.task, localization, view.config, version, threshold, costs, labels)
        picture = _drawable(view.task, path, seen, labels)
        parts.append(Predicted(prediction, localization, labels, picture, _left_out(localization, seen)))
    if parts:
        yield _together(parts)


def _left_out(found: Localization | None, shown: Localization | None) -> tuple[str, ...]:
    """Return the class of each region that was found and is not shown."""
    if found is None or shown is None:
        return ()
    return tuple(
        (Counter(each.label for each in found.regions) - Counter(each.label for each in shown.regions)).elements()
    )


def _together(parts: Sequence[Predicted]) -> Predicted:
    """Return what was predicted for the pictures of one task, as one prediction; those of most tasks have one."""
    if len(parts) == 1:
        return parts[0]
    shown = [part.prediction for part in parts if part.prediction["result"]]
    results: list[Json] = []
    for prediction in shown:
        # Choices of the whole task are ticked by its first picture that has something to tick.
        said = {(each["from_name"], each["to_name"]) for each in results if each["type"] in CHOICE_KINDS}
        results += [
            each
            for each in prediction["result"]
            if "item_index" in each or (each["from_name"], each["to_name"]) not in said
        ]
    score = round(fmean(each["score"] for each in shown), 4) if shown else 0.0
    pictures = [part.drawable for part in parts if part.drawable is not None]
    least_certain = min(pictures, key=lambda each: each.shown.score, default=None)
    left_out = tuple(label for part in parts for label in part.left_out)
    return Predicted({**parts[0].prediction, "result": results, "score": score}, None, (), least_certain, left_out)


def _drawable(
    task: Mapping[str, Any], path: Path | ImageError, shown: Localization | None, given: Sequence[str]
) -> Drawable | None:
    if not isinstance(path, Path) or shown is None or not isinstance(task.get("id"), int):
        return None
    return drawable(task["id"], path, shown, given)


def _localize(
    predictor: Predictor, views: Sequence[TaskView], found: Sequence[Path | ImageError]
) -> Iterator[tuple[Localization | None, tuple[str, ...]]]:
    """Yield what was found in each picture, and the classes that people gave it."""
    labels = [image_labels(view.task, view.config, predictor.card.classes) for view in views]
    readable = [index for index, path in enumerate(found) if isinstance(path, Path)]
    samples = [Sample(str(index), Path(str(found[index])), labels[index]) for index in readable]
    localized = predictor.localize(samples, lambda sample: sample.labels or None)
    for view, path, given in zip(views, found, labels, strict=True):
        result = next(localized) if isinstance(path, Path) else None
        if isinstance(result, Unreadable):
            logger.warning("task %r: %s", view.task.get("id"), result.reason)
        yield (result if isinstance(result, Localization) else None), given


def _prediction(
    task: Mapping[str, Any],
    localization: Localization | None,
    config: LabelConfig,
    version: str,
    threshold: float | None,
    costs: Costs,
    labels: Sequence[str] = (),
) -> Json:
    """Return the checked prediction: Label Studio accepts what it cannot show, without an error."""
    if localization is None:
        return empty_prediction(version)
    prediction = to_prediction(
        localization, config, version, score_threshold=threshold, costs=costs, chosen=tuple(labels)
    )
    try:
        check_prediction(prediction, config)
    except BackendError as error:
        logger.error("task %r: a fault of the program, so nothing is predicted: %s", task.get("id"), error)
        return empty_prediction(version)
    return prediction


def _predict_prompted(
    context: JobContext,
    request: PredictionRequest,
    task: Mapping[str, Any],
    config: LabelConfig,
    drawn: Mapping[str, Any],
) -> Json:
    """Return the object in the newest box, or at the newest point, that the person drew; empty without one."""
    version, project_id = request.version, request.project_id
    regions = drawn_so_far(context.queue.prompts, project_id, task, config, drawn)
    prompt = newest_prompt({"result": regions})
    views = all_views(request.tasks, config)
    index = _prompted([number for number, view in enumerate(views) if view.task is task], views, drawn)
    config = views[index].config
    files = {0: request.files[index]} if index in request.files else {}
    path = fetch_views(context.media, [views[index]], project_id, files)[0]
    if prompt is None or isinstance(path, ImageError):
        return empty_prediction(version)
    version, predictor = context.predictor(project_id, version)
    _, (width, height) = open_image_small(path, 32, f"task {task.get('id')}")
    where, hints = _where(prompt, (width, height))
    try:
        label = prompt.label and (class_of(prompt.label, config, predictor.card.classes) or prompt.label)
        region = localize_prompted(predictor, path, where, label, hints)
    except DataError as error:
        logger.warning("task %r: %s", task.get("id"), error)
        region = None
    if region is None:
        return empty_prediction(version)
    localization = Localization(str(task.get("id")), (width, height), {region.label: region.score}, (region,))
    regions_only = replace(config, controls=config.region_controls)
    return _prediction(task, localization, regions_only, version, 0.0, costs_of(config))


def drawn_so_far(
    prompts: PromptStore,
    project_id: str,
    task: Mapping[str, Any],
    config: LabelConfig,
    drawn: Mapping[str, Any],
) -> list[Mapping[str, Any]]:
    """Return the regions that a person has drawn for the object that `drawn` is about, which are remembered.

    Each person's are apart, as far as a draft of theirs says who draws; before there is one, nobody knows.
    """
    marks = marks_of(drawn, config.views(task.get("data")))
    person = next((str(draft.get("user")) for draft in listed(task, "drafts")), "")
    for known in dict.fromkeys((person, "")):
        regions = with_earlier(*prompts.last(project_id, task.get("id"), known), {"result": marks})
        if len(regions) > len(marks):
            break
    prompts.record(project_id, task.get("id"), regions, person)
    return regions


def _prompted(indices: Sequence[int], views: Sequence[TaskView], drawn: Mapping[str, Any]) -> int:
    """Return the index of the view that a person drew in last."""
    for region in reversed(listed(drawn, "result")):
        for index in indices:
            if views[index].config.control_of(region) is not None:
                return index
    return indices[0]


def _where(prompt: Prompt, size_wh: tuple[int, int]) -> tuple[BoxPrompt | PointPrompt, Hints]:
    """Return what a person drew, in pixels of the picture."""
    inside, outside = (
        tuple((x * size_wh[0], y * size_wh[1]) for x, y in points) for points in (prompt.inside, prompt.outside)
    )
    if prompt.box is None:
        alone = len(inside) == 1 and not outside
        return PointPrompt(*inside[0]), NO_HINTS if alone else Hints(inside, outside)
    outline = prompt.box.outline(size_wh)
    xs, ys = zip(*outline, strict=True)
    return (
        BoxPrompt((min(xs), min(ys), max(xs), max(ys))),
        Hints(inside, outside, () if prompt.box.is_upright_rectangle else outline),
    )
