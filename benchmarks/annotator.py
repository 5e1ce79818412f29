"""An annotator who knows the truth: what it submits for a prediction, what that took, and which task comes next.

It works as Label Studio's editor does: a region that is right stays as it was predicted, a wrong one is edited and
keeps its id, one too many goes, what was missed is drawn. Nothing here talks to Label Studio.
"""

from __future__ import annotations

import html
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.labelstudio.brush_rle import decode_mask, encode_mask
from backend.labelstudio.objects import Shape
from wsol_core.data.true_mask import true_mask
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.masks import mask_iou
from wsol_core.ops.matching import Match, match
from wsol_core.records import BoolMask, BoxXyxy, CorrectedRegion

ENOUGH = 0.8  # IoU of prediction and truth from which a person leaves a box or a mask as it is
NEAR = 0.1  # IoU from which a person moves a box instead of drawing another
BOX, MASK, IMAGE = "box", "mask", "image"  # names of the config's tags
KINDS = {BOX: "rectanglelabels", MASK: "brushlabels"}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """What was submitted for one task. IoUs are those of prediction and truth, in [0, 1].

    edited, deleted and added are boxes; `masks` counts the brush regions that were edited, deleted or added.
    box_iou: mean over the true boxes, 0 for one that was missed. mask_iou: the same of the true masks; None without.
    """

    result: list[Json]
    edited: int
    deleted: int
    added: int
    masks: int
    box_iou: float
    mask_iou: float | None

    @property
    def corrections(self) -> int:
        """Of boxes."""
        return self.edited + self.deleted + self.added

    @property
    def accepted(self) -> bool:
        """Whether nothing had to be touched."""
        return self.corrections + self.masks == 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task without an annotation; `cluster` is its class, as in pre-annotation, `score` that of its prediction."""

    task: int
    cluster: str
    score: float


def label_config(classes: Sequence[str]) -> str:
    """The class is given with the picture; boxes and masks are to be corrected."""
    labels = "".join(f'<Label value="{html.escape(name)}"/>' for name in classes)
    return f"""<View>
  <Header value="Class given with the picture: $label"/>
  <Image name="{IMAGE}" value="$image"/>
  <RectangleLabels name="{BOX}" toName="{IMAGE}" smart="true">{labels}</RectangleLabels>
  <BrushLabels name="{MASK}" toName="{IMAGE}" smart="true">{labels}</BrushLabels>
</View>"""


def ranking(candidates: Iterable[Candidate], solved: Mapping[str, int]) -> list[Candidate]:
    """The order of Label Studio's uncertainty sampling: the cluster with the fewest solved tasks, its lowest score.

    Args: solved: annotated tasks of each cluster so far; every task of the order counts as solved for the next.
    """
    counts, order = Counter(solved), []
    waiting: dict[str, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda each: (each.score, each.task), reverse=True):
        waiting.setdefault(candidate.cluster, []).append(candidate)
    while waiting:
        cluster = min(waiting, key=lambda name: (counts[name], waiting[name][-1].score, waiting[name][-1].task))
        order.append(waiting[cluster].pop())
        counts[cluster] += 1
        if not waiting[cluster]:
            del waiting[cluster]
    return order


def annotate(predicted: Sequence[Json], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]) -> Work:
    """What the annotator submits for a prediction's regions.

    Each object has a box and a mask of its own. Where the masks of a class are not all known, its brush regions stay.
    """
    boxes, brushes = ([each for each in predicted if _is(each, control)] for control in (BOX, MASK))
    taken = _taken_boxes(boxes, truth, size_wh)
    shown, ious, (edited, deleted, added) = _boxes(boxes, truth, taken, size_wh)
    of_objects = {name: j for j, pair in taken.items() if (name := _object(boxes[pair.found])) is not None}
    masks, mask_ious, touched = _masks(brushes, truth, of_objects, size_wh)
    return Work(
        result=shown + masks,
        edited=edited,
        deleted=deleted,
        added=added,
        masks=touched,
        box_iou=float(np.mean(ious)) if ious else 0.0,
        mask_iou=float(np.mean(mask_ious)) if mask_ious else None,
    )


def summary(works: Sequence[Work]) -> Json:
    """Counts and means over tasks, at least one."""
    masks = [work.mask_iou for work in works if work.mask_iou is not None]
    accepted = sum(work.accepted for work in works)
    counts = {name: sum(getattr(work, name) for work in works) for name in ("edited", "deleted", "added", "masks")}
    corrections = sum(work.corrections for work in works)
    return {
        "tasks": len(works),
        "accepted": accepted,
        "corrected": len(works) - accepted,
        **counts,
        "corrections": corrections,
        "acceptance_rate": accepted / len(works),
        "corrections_per_task": corrections / len(works),
        "mask_corrections_per_task": counts["masks"] / len(works),
        "box_iou": float(np.mean([work.box_iou for work in works])),
        "mask_iou": float(np.mean(masks)) if masks else None,
    }


def _taken_boxes(
    predicted: Sequence[Json], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]
) -> dict[int, Match]:
    """Index of a true box -> its pair. Each predicted box belongs to one true box at most, the best pairs first."""
    table = [
        [
            float(box_iou(np.array([_box(region, size_wh)]), np.array([true.box_xyxy]), inclusive=True)[0, 0])
            if _label(region) == true.label
            else 0.0
            for true in truth
        ]
        for region in predicted
    ]
    return {pair.true: pair for pair in match(np.array(table).reshape(len(predicted), len(truth)), NEAR)}


def _boxes(
    predicted: Sequence[Json], truth: Sequence[CorrectedRegion], taken: Mapping[int, Match], size_wh: tuple[int, int]
) -> tuple[list[Json], list[float], tuple[int, int, int]]:
    """The boxes to submit, the IoU of each true box with the predicted one; how many were edited, deleted and added."""
    result, edited = [], 0
    for j, true in enumerate(truth):
        if j not in taken:
            result.append(_drawn(BOX, true.label, _percent(true.box_xyxy, size_wh), size_wh))
            continue
        region, right = predicted[taken[j].found], taken[j].iou >= ENOUGH
        result.append(_kept(region) if right else _edited(region, _percent(true.box_xyxy, size_wh)))
        edited += not right
    ious = [taken[j].iou if j in taken else 0.0 for j in range(len(truth))]
    return result, ious, (edited, len(predicted) - len(taken), len(truth) - len(taken))


def _masks(
    predicted: Sequence[Json], truth: Sequence[CorrectedRegion], of_objects: Mapping[str, int], size_wh: tuple[int, int]
) -> tuple[list[Json], list[float], int]:
    """The brush regions to submit, the IoU of each true mask with the predicted one, and how many were touched.

    Args: of_objects: the id of a predicted object -> the true one that its box belongs to, and so its mask does.
    """
    known = [true_mask([true], size_wh, within_boxes=True) for true in truth]
    masks = [decode_mask(region["value"]["rle"], size_wh) for region in predicted]
    table = np.zeros((len(predicted), len(truth)))
    for i, region in enumerate(predicted):
        for j, mask in enumerate(known):
            if mask is not None and _label(region) == truth[j].label:
                bound = of_objects.get(_object(region) or "") == j
                table[i, j] = mask_iou(masks[i], mask) + bound  # before all that are not
    pairs = {pair.true: pair.found for pair in match(table, NEAR)}
    unknown = {true.label for true, mask in zip(truth, known, strict=True) if mask is None}
    left = [region for i, region in enumerate(predicted) if i not in pairs.values()]
    result = [_kept(region) for region in left if _label(region) in unknown]
    touched, ious = len(left) - len(result), []
    for j, mask in enumerate(known):
        if mask is not None:
            ious.append(mask_iou(masks[pairs[j]], mask) if j in pairs else 0.0)
            found, wrong = _shown_mask(predicted[pairs[j]] if j in pairs else None, ious[-1], truth[j].label, mask)
            result.append(found)
            touched += wrong
    return result, ious, touched


def _shown_mask(region: Json | None, iou: float, label: str, mask: BoolMask) -> tuple[Json, bool]:
    """The brush region to submit for a true mask, and whether it had to be touched."""
    if region is not None and iou >= ENOUGH:
        return _kept(region), False
    value = {"format": "rle", "rle": encode_mask(mask)}
    height, width = mask.shape
    return (_drawn(MASK, label, value, (width, height)) if region is None else _edited(region, value)), True


def _object(region: Json) -> str | None:
    """The predicted object that a region's id names."""
    return Shape(region, None).object_id


def _is(region: Json, control: str) -> bool:
    return bool(region["from_name"] == control)


def _label(region: Json) -> str:
    return str(region["value"][region["type"]][0])


def _kept(region: Json) -> Json:
    return {**region, "origin": "prediction"}


def _edited(region: Json, value: Json) -> Json:
    return {**region, "origin": "prediction-changed", "value": {**region["value"], **value}}


def _drawn(control: str, label: str, value: Json, size_wh: tuple[int, int]) -> Json:
    return {
        "id": secrets.token_urlsafe(8)[:10],
        "from_name": control,
        "to_name": IMAGE,
        "type": KINDS[control],
        "original_width": size_wh[0],
        "original_height": size_wh[1],
        "image_rotation": 0,
        "origin": "manual",
        "value": {**value, KINDS[control]: [label]},
    }


def _percent(box_xyxy: BoxXyxy, size_wh: tuple[int, int]) -> Json:
    (x0, y0, x1, y1), (width, height) = box_xyxy, (side / 100 for side in size_wh)
    return {"x": x0 / width, "y": y0 / height, "width": (x1 - x0) / width, "height": (y1 - y0) / height, "rotation": 0}


def _box(region: Json, size_wh: tuple[int, int]) -> BoxXyxy:
    value, (width, height) = region["value"], (side / 100 for side in size_wh)
    x0, y0 = value["x"] * width, value["y"] * height
    return (x0, y0, x0 + value["width"] * width, y0 + value["height"] * height)
