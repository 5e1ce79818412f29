"""Compare annotations with predictions: objects are accepted, edited, deleted or added, or the task is skipped.

The annotation that counts (see annotations.py) is the first of those that say something about regions: they have some,
or began from a prediction that had. Classes chosen before there was any prediction say nothing about it.

These rows start trainings and fill reports. What training learns from comes from corrections.py, by another rule: see
"A correction becomes a better version" in docs/architecture.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.annotations import DRAWN, MARK, WITH_MASKS, age_of, is_accepted_in_bulk, listed
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.region_shapes import MOST, same_value
from backend.labelstudio.regions import CHANGED, UNTOUCHED, known_size, regions_of
from backend.labelstudio.reviewed_objects import Pair, ReviewedObject, mistakes, reviewed_objects
from backend.labelstudio.task_labels import counting_annotations, given_labels, names_a_class
from backend.storage.ledger_rows import Fate, LedgerRow, ObjectRow, Outcome
from backend.storage.models import is_untrained
from wsol_core.evaluation.mistakes import MistakeKind

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MatchedAnnotation:
    """The annotation that counts, and each region with what it was: (predicted, final), None where there is none.

    `prediction` is the one that it began from, None if that is gone or never was.
    """

    annotation: Json
    prediction: Json | None
    pairs: tuple[Pair, ...]

    def objects(self, config: LabelConfig) -> list[ReviewedObject]:
        """Return the objects that the pairs show."""
        return reviewed_objects(self.pairs, self.fates(), config)

    def fates(self) -> list[Fate]:
        """Return what became of each pair."""
        return [self._fate(*pair) for pair in self.pairs]

    def _fate(self, predicted: Json | None, final: Json | None) -> Fate:
        if final is None:
            return Fate.DELETED
        origin = final.get("origin")
        if predicted is not None and predicted.get(MARK) == DRAWN:
            return Fate.ADDED  # a person's own, which was repeated
        if predicted is not None:
            # Label Studio's "Create annotations from predictions" copies regions as they were stored, origin included.
            untouched = origin in (UNTOUCHED, predicted.get("origin")) and same_value(predicted, final)
            return Fate.ACCEPTED if untouched else Fate.EDITED
        if self.prediction is None:  # deleted since: what the editor said then is all there is
            return {UNTOUCHED: Fate.ACCEPTED, CHANGED: Fate.EDITED}.get(str(origin), Fate.ADDED)
        return Fate.ADDED


def review(task: Json, config: LabelConfig) -> LedgerRow | None:
    """Return the task's ledger row; None if it has neither a label nor an annotation. Raises nothing on bad JSON.

    Annotations that were accepted in bulk say nothing of what people make of predictions.
    """
    annotations = [each for each in listed(task, "annotations") if not is_accepted_in_bulk(each)]
    task = {**task, "annotations": annotations}
    absent = shows_nothing(task, config)
    labels = () if absent else given_labels(task, config)
    if not labels and not annotations:
        return None
    views = config.views(task.get("data"))
    matched = [(match, view) for view in views if (match := match_annotation(task, view))]
    objects = tuple(row for match, view in matched for row in _object_rows(match, view))
    newest = max(annotations, key=age_of, default=None)
    found = matched[0][0] if matched else None
    annotation = found.annotation if found else newest or {}
    prediction = (found.prediction if found else None) or {}
    version = prediction.get("model_version")
    if not isinstance(version, str) or version.endswith(WITH_MASKS):
        version = None
    return LedgerRow(
        task=int(task["id"]),
        outcome=_outcome(objects, absent, skipped=bool(newest and newest.get("was_cancelled"))),
        labels=labels,
        version=version,
        score=_number(prediction.get("score")),
        objects=objects,
        lead_time_s=_number(annotation.get("lead_time")),
        annotator=_whole(annotation.get("completed_by")),
        annotation=_whole(annotation.get("id")),
        digest=_digest(annotations, labels),
    )


def match_annotation(task: Json, config: LabelConfig) -> MatchedAnnotation | None:
    """Return the annotation that counts, matched with its prediction; None if nobody says anything of regions."""
    size_wh = known_size(*listed(task, "predictions"), *listed(task, "annotations"))
    for annotation in counting_annotations(task, config):
        prediction = _began_from(annotation, task)
        predicted = regions_of(prediction, config, size_wh) if prediction else []
        final = regions_of(annotation, config, size_wh)
        if predicted or final:
            return MatchedAnnotation(annotation, prediction, _pairs(predicted, final))
    return None


def shows_nothing(task: Json, config: LabelConfig) -> bool:
    """Return whether people submitted a prediction with everything in it deleted, or one of nothing as it was.

    That is an answer: none of the classes is in the picture. It has to be the annotation that counts.
    """
    for annotation in counting_annotations(task, config)[:1]:
        prediction = _began_from(annotation, task)
        if annotation.get("parent_prediction") is None and prediction is None:
            return False
        if prediction is not None and is_untrained(prediction.get("model_version")):
            return False
        views = config.views(task.get("data"))
        return not any(regions_of(annotation, view) or names_a_class(annotation, view) for view in views)
    return False


def _began_from(annotation: Json, task: Json) -> Json | None:
    """Return the prediction that an annotation is a copy of: by its number, else the one with the same regions."""
    predictions = listed(task, "predictions")
    parent = annotation.get("parent_prediction")
    for prediction in predictions:
        if parent is not None and prediction.get("id") == parent and not _written_over(prediction, annotation):
            return prediction
    names = _names(annotation)
    shared = [(len(names & _names(each)), *age_of(each), index) for index, each in enumerate(predictions)]
    most = max(shared, default=None)
    return predictions[most[-1]] if most is not None and most[0] else None


def _written_over(prediction: Json, annotation: Json) -> bool:
    """Return whether a newer version's content has replaced it since: nothing that was copied is in it."""
    copied = _names(annotation, (UNTOUCHED, CHANGED))
    return bool(copied) and not copied & _names(prediction)


def _names(source: Json, origins: Sequence[str] | None = None) -> set[str]:
    """Return the ids of all results, choices included; of those with certain `origins` only, if they are named."""
    found = listed(source, "result")
    names = [each.get("id") for each in found if origins is None or each.get("origin") in origins]
    return {name for name in names if isinstance(name, str) and name}


def _pairs(predicted: Sequence[Json], final: Sequence[Json]) -> tuple[Pair, ...]:
    """Pair regions of the same kind by id, in the final order, the deleted ones last."""
    left = {(str(each.get("id")), str(each.get("type"))): each for each in predicted if each.get("id")}
    nameless = [each for each in predicted if not each.get("id")]
    pairs: list[Pair] = []
    for each in final:
        known = left.pop((str(each.get("id")), str(each.get("type"))), None)
        pairs.append((known, each))
    return (*pairs, *((each, None) for each in (*left.values(), *nameless)))


def _object_rows(found: MatchedAnnotation, config: LabelConfig) -> tuple[ObjectRow, ...]:
    objects = found.objects(config)
    known = [None] * len(objects) if found.prediction is None else mistakes(objects)
    return tuple(_object_row(each, mistake) for each, mistake in zip(objects, known, strict=True))


def _object_row(reviewed: ReviewedObject, mistake: MistakeKind | None) -> ObjectRow:
    ious: dict[bool, float] = {}
    scores: list[float] = []
    for shape in reviewed.shapes:
        if (iou := shape.iou) is not None:
            ious.setdefault(shape.shown.is_box, iou)
        if shape.predicted is not None and (score := _number(shape.predicted.region.get("score"))) is not None:
            scores.append(score)
    return ObjectRow(reviewed.label, reviewed.fate, ious.get(True), ious.get(False), next(iter(scores), None), mistake)


def _outcome(objects: Sequence[ObjectRow], absent: bool, skipped: bool) -> Outcome:
    if not objects and absent:
        return Outcome.ACCEPTED  # nothing was shown, and nothing is what people left
    if not objects:
        return Outcome.SKIPPED if skipped else Outcome.OPEN
    return Outcome.ACCEPTED if all(each.fate == Fate.ACCEPTED for each in objects) else Outcome.CORRECTED


def _digest(annotations: Sequence[Json], labels: Sequence[str]) -> str:
    """Hash what people did, not what model, config or clock make of it; the classes if that is all."""
    said = [
        [each.get(key) for key in ("completed_by", "was_cancelled", "ground_truth", "result")]
        for each in sorted(annotations, key=age_of)
    ]
    text = json.dumps(said or list(labels), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST:
        return None
    return float(value)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
