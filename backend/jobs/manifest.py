"""Read from Label Studio once what a run learns from, and freeze it: manifest, pictures, masks.

    {"task": 12, "labels": ["crab"], "regions": [{"label", "box_xyxy", "mask"}], "part": "train" | "holdout"}

A fifth of the corrected tasks, always the same, is the holdout: the gate's, never trained on. Every other task with a
class is trained on, strongly where people drew or corrected regions. Triggers and reports take corrections from the
ledger, by another rule: see "A correction becomes a better version" in docs/architecture.md.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from backend.jobs.context import JobContext
from backend.jobs.fetch_images import fetch_images, raise_if_none_for_now
from backend.labelstudio.corrections import DrawnRegion, cleared_labels, drawn_regions, in_holdout
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.task_labels import given_labels
from backend.storage.runs import Run
from wsol_core.data.images import open_image_small
from wsol_core.errors import DataError
from wsol_core.files import write_whole
from wsol_core.records import CorrectedRegion, Sample

logger = logging.getLogger(__name__)

AT_ONCE = 100  # tasks whose pictures are fetched together

Json = dict[str, Any]


class Part(StrEnum):
    """What a task's picture is for: to be trained on, or to compare versions on."""

    TRAIN = "train"
    HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """What a task teaches. `regions` are as people drew them; the manifest has them in pixels of the picture."""

    task: int
    labels: tuple[str, ...]
    regions: tuple[DrawnRegion, ...]
    part: Part


@dataclass(frozen=True, slots=True)
class Pictures:
    """A run's pictures. `classes` are those that can be learned; the holdout may show others, too."""

    train: Sequence[Sample]
    holdout: Sequence[Sample]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the pictures that are trained on, in the order of the model's scores."""
        return tuple(sorted({label for sample in self.train for label in sample.labels}))


def frozen_manifest(context: JobContext, run: Run, on_read: Callable[[int], None]) -> Path:
    """Return the run's manifest, read from Label Studio unless an earlier process of the run has.

    Args: on_read: told now and then how many tasks have been read.
    Raises: DataError where no picture can be learned from; UnreachableError and ImageNotNowError to be tried again.
    """
    path = context.stores.runs.folder(run.id) / "manifest.jsonl"
    if not path.is_file():
        write_whole(path, _read_project(context, run, on_read))
    return path


def read_pictures(manifest: Path) -> Pictures:
    """Return the samples of a manifest; their files are in the manifest's folder."""
    parts: dict[Part, list[Sample]] = {part: [] for part in Part}
    for text in manifest.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        parts[Part(line["part"])].append(_sample(manifest.parent, line))
    return Pictures(parts[Part.TRAIN], parts[Part.HOLDOUT])


def manifest_line(task: Mapping[str, Any], config: LabelConfig, project_id: str) -> ManifestLine | None:
    """Return what a task teaches; None if nobody gave it a class.

    A class whose predicted objects a person removed, without drawing others, is not taught: nothing of it is there. One
    of which people corrected an object is finished: its regions are all that there is of it in the picture.
    """
    labels = _taught_labels(task, config)
    if not labels:
        return None
    regions = tuple(region for region in drawn_regions(task, config) if region.label in labels)
    held = bool(regions) and in_holdout(project_id, int(task["id"]))
    return ManifestLine(task["id"], labels, regions, Part.HOLDOUT if held else Part.TRAIN)


def _taught_labels(task: Mapping[str, Any], config: LabelConfig) -> tuple[str, ...]:
    cleared = cleared_labels(task, config)
    return tuple(label for label in given_labels(task, config) if label not in cleared)


def _read_project(context: JobContext, run: Run, on_read: Callable[[int], None]) -> bytes:
    client = context.label_studio()
    config = LabelConfig.parse(str(client.project(run.project_id).get("label_config", "")))
    folder = context.stores.runs.folder(run.id)
    lines: list[Json] = []
    seen = labelled = 0
    tasks = client.tasks(run.project_id)
    while page := list(islice(tasks, AT_ONCE)):
        found = [task for task in page if _taught_labels(task, config)]
        paths = fetch_images(context.media, found, config, run.project_id)
        raise_if_none_for_now(paths)
        for task, path in zip(found, paths, strict=True):
            # One after the other: the masks of a whole page would fill the memory.
            if isinstance(path, Path) and (line := manifest_line(task, config, run.project_id)):
                _link_or_copy(path, folder / "pictures" / str(line.task))
                kept = {"task": line.task, "labels": line.labels, "regions": _save_regions(line, folder)}
                lines.append({**kept, "part": line.part.value})
        seen, labelled = seen + len(page), labelled + len(found)
        on_read(seen)
    if not any(line["part"] == Part.TRAIN for line in lines):
        raise DataError(
            f"Project {run.project_id} has {seen} tasks, {labelled} with a class, and {len(lines)} of those with "
            "a picture that can be read; choose classes for some tasks (Choices) and submit them, then train again."
        )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _save_regions(line: ManifestLine, folder: Path) -> list[Json]:
    """Return what people drew on the picture, as the manifest has it; masks become files, one for each object."""
    if not line.regions:
        return []
    try:
        _, size_wh = open_image_small(folder / "pictures" / str(line.task), 32, f"task {line.task}")
    except DataError:  # training says so, once, and goes on without the picture
        return []
    kept = []
    for number, region in enumerate(line.regions):
        name = None
        if region.mask is not None:
            name = f"masks/{line.task}-{number}.png"
            (folder / name).parent.mkdir(exist_ok=True)
            Image.fromarray(region.mask).save(folder / name)
        kept.append({"label": region.label, "box_xyxy": region.box_in(size_wh), "mask": name})
    return kept


def _sample(folder: Path, line: Mapping[str, Any]) -> Sample:
    regions = tuple(
        CorrectedRegion(each["label"], tuple(each["box_xyxy"]), folder / each["mask"] if each["mask"] else None)
        for each in line["regions"]
    )
    return Sample(f"task {line['task']}", folder / "pictures" / str(line["task"]), tuple(line["labels"]), regions)


def _link_or_copy(picture: Path, kept: Path) -> None:
    """Give a picture of the cache, which evicts, a second name; that costs no space on the same disk."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        kept.hardlink_to(picture)
    except OSError:  # another disk, or one without links
        shutil.copyfile(picture, kept)
