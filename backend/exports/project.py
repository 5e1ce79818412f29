"""Read a Label Studio project for an export: task by task, each with its picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import cv2
import numpy as np

from backend.errors import ImageError
from backend.exports.task_objects import (
    Take,
    TaskObject,
    TaskObjects,
    annotated_size,
    classes_of,
    split_of,
    task_objects,
)
from backend.images.image_store import ImageStore
from backend.jobs.fetch_images import fetch_images, raise_if_none_for_now
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.task_labels import counting_annotations, given_labels, image_reference
from wsol_core.data.images import open_image_small
from wsol_core.errors import DataError
from wsol_core.exports.records import ExportedImage, ExportedObject
from wsol_core.ops.maps import resize
from wsol_core.records import BoolMask

AT_ONCE = 100  # tasks whose pictures are fetched together

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TaskImage(ExportedImage):
    """An image of a task, and the task as Label Studio has it."""

    task: Json = field(default_factory=dict)


@dataclass
class ProjectReader:
    """Reads a project once. `everything` takes tasks with nothing but classes as well.

    `unreviewed` and `skipped` say afterwards what is not in the export.

    unreviewed: how many tasks nobody has reviewed, without a predicted object to take. skipped: a sentence for each
    picture that cannot be used.
    """

    client: LabelStudioClient
    media: ImageStore
    project_id: str
    take: Take = Take.BOTH
    min_score: float = 0.0
    fetch: bool = True
    everything: bool = False
    unreviewed: int = 0
    skipped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.project = self.client.project(self.project_id)
        self.config = LabelConfig.parse(str(self.project.get("label_config", "")))

    @property
    def classes(self) -> Sequence[str]:
        """Those of the labeling config."""
        return classes_of(self.config)

    def images(self) -> Iterator[TaskImage]:
        """The images of all tasks that are taken, ordered by number. `fetch` says whether with their pictures."""
        tasks = self.client.tasks(self.project_id)
        shown = str(self.project.get("model_version") or "")
        while page := list(islice(tasks, AT_ONCE)):
            found = [self._objects(task, shown) for task in page]
            chosen = [(task, each) for task, each in zip(page, found, strict=True) if each is not None]
            self.unreviewed += len(page) - len(chosen)
            yield from self._images(chosen)

    def _objects(self, task: Json, shown_version: str) -> TaskObjects | None:
        found = task_objects(task, self.config, self.take, shown_version, self.min_score)
        asked = self.everything and self.take is not Take.PREDICTIONS
        if found is None and asked and counting_annotations(task, self.config):
            return TaskObjects((), reviewed=False)
        return found

    def _images(self, chosen: Sequence[tuple[Json, TaskObjects]]) -> Iterator[TaskImage]:
        """A picture is fetched where it is asked for, and where nothing else says how large it is."""
        wanted = [task for task, _ in chosen if self.fetch or annotated_size(task) is None]
        paths = fetch_images(self.media, wanted, self.config, self.project_id)
        raise_if_none_for_now(paths)
        by_task = {int(task["id"]): path for task, path in zip(wanted, paths, strict=True)}
        for task, found in chosen:
            path = by_task.get(int(task["id"]))
            try:
                if isinstance(path, ImageError):
                    raise path
                yield self._image(task, found, path)
            except (ImageError, DataError) as error:
                self.skipped.append(f"Task {task['id']} is left out: {error}")

    def _image(self, task: Json, found: TaskObjects, path: Path | None) -> TaskImage:
        number = int(task["id"])
        size_wh = annotated_size(task) if path is None else open_image_small(path, 32, f"task {number}")[1]
        assert size_wh is not None
        return TaskImage(
            name=file_name(image_reference(task, self.config)),
            size_wh=size_wh,
            objects=tuple(exported(each, size_wh) for each in found.objects),
            labels=given_labels(task, self.config),
            split=split_of(task, found, self.project_id),
            path=path if self.fetch else None,
            number=number,
            reviewed=found.reviewed,
            task=task,
        )


def exported(each: TaskObject, size_wh: tuple[int, int]) -> ExportedObject:
    """An object in pixels of the picture itself, which may have another size than the one that Label Studio saw."""
    region = each.region
    mask = None if region.mask is None else _resized(region.mask, size_wh)
    return ExportedObject(region.label, region.box_in(size_wh), each.source, each.score, mask)


def file_name(reference: str) -> str:
    """The last part of a picture's address, as people know it; "image" where it has no name."""
    if reference.startswith("data:"):
        return "image"
    parts = urlsplit(reference)
    path = parse_qs(parts.query).get("d", [parts.path])[0] if "/data/local-files" in parts.path else unquote(parts.path)
    return PurePosixPath(path.replace("\\", "/")).name or "image"


def _resized(mask: BoolMask, size_wh: tuple[int, int]) -> BoolMask:
    if mask.shape == (size_wh[1], size_wh[0]):
        return mask
    return resize(mask.view(np.uint8), size_wh, cv2.INTER_NEAREST).astype(np.bool_)
