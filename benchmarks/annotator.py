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
from wsol_core.data.true_mask import true_mask
from wsol_core.ops.boxes import box_iou
from wsol_core.ops.masks import mask_iou
from wsol_core.records import BoxXyxy, CorrectedRegion

ENOUGH = 0.8  # IoU of prediction and truth from which a person leaves a box or a mask as it is
NEAR = 0.1  # IoU from which a person moves a box instead of drawing another
BOX, MASK, IMAGE = "box", "mask", "image"  # names of the config's tags
KINDS = {BOX: "rectanglelabels", MASK: "brushlabels"}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """What was submitted for one task. IoUs are those of prediction and truth, in [0, 1].

    edited, deleted and added are boxes; `masks` counts the brush regions that were edited, deleted or added.
    box_iou: mean over the true boxes, 0 for one that was missed. mask_iou: mean over the classes; None without truth.
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

    A mask is right or wrong as a whole: all brush regions of a class together. Without a true mask they stay.
    """
    boxes, ious, (edited, deleted, added) = _boxes([each for each in predicted if _is(each, BOX)], truth, size_wh)
    masks, mask_ious, touched = _masks([each for each in predicted if _is(each, MASK)], truth, size_wh)
    return Work(
        result=boxes + masks,
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


def _boxes(
    predicted: Sequence[Json], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]
) -> tuple[list[Json], list[float], tuple[int, int, int]]:
    """The boxes to submit, the IoU of each true box with the predicted one, and how many were edited, deleted, added.

    Each predicted box belongs to one true box at most: the pairs that fit best are made first.
    """
    pairs = sorted(
        (
            (float(box_iou(np.array([_box(region, size_wh)]), np.array([true.box_xyxy]), inclusive=True)[0, 0]), i, j)
            for i, region in enumerate(predicted)
            for j, true in enumerate(truth)
            if _label(region) == true.label
        ),
        reverse=True,
    )
    taken: dict[int, tuple[int, float]] = {}  # true box -> predicted box, IoU
    for iou, i, j in pairs:
        if iou >= NEAR and j not in taken and i not in {index for index, _ in taken.values()}:
            taken[j] = (i, iou)
    result, edited = [], 0
    for j, true in enumerate(truth):
        if j not in taken:
            result.append(_drawn(BOX, true.label, _percent(true.box_xyxy, size_wh), size_wh))
            continue
        index, iou = taken[j]
        right = iou >= ENOUGH
        result.append(_kept(predicted[index]) if right else _edited(predicted[index], _percent(true.box_xyxy, size_wh)))
        edited += not right
    ious = [taken[j][1] if j in taken else 0.0 for j in range(len(truth))]
    return result, ious, (edited, len(predicted) - len(taken), len(truth) - len(taken))


def _masks(
    predicted: Sequence[Json], truth: Sequence[CorrectedRegion], size_wh: tuple[int, int]
) -> tuple[list[Json], list[float], int]:
    """The brush regions to submit, the mask IoU of each class, and how many regions were touched."""
    labels = tuple(dict.fromkeys(region.label for region in truth))
    result: list[Json] = []
    ious: list[float] = []
    touched = sum(_label(region) not in labels for region in predicted)  # of a class that is not there: deleted
    for label in labels:
        own = [region for region in predicted if _label(region) == label]
        true = true_mask([region for region in truth if region.label == label], size_wh, within_boxes=False)
        if true is None:
            result += map(_kept, own)
            continue
        found = np.zeros_like(true)
        for region in own:
            found |= decode_mask(region["value"]["rle"], size_wh)
        ious.append(mask_iou(found, true))
        if ious[-1] >= ENOUGH:
            result += map(_kept, own)
            continue
        value = {"format": "rle", "rle": encode_mask(true)}
        result.append(_edited(own[0], value) if own else _drawn(MASK, label, value, size_wh))
        touched += max(1, len(own))  # the first is edited, all others go
    return result, ious, touched


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
