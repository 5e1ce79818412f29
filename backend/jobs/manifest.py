"""Read from Label Studio once what a run learns from, and freeze it: manifest, pictures, masks.

    {"task": 12, "labels": ["crab"], "regions": [{"label", "box_xyxy", "mask"}], "part": "train" | "holdout"}

Of a task with several pictures each has a line, all but the first with its `view`, 1 and so on. A picture without
labels is one in which people left nothing of what was predicted.

A fifth of the corrected tasks, always the same, is the holdout: the gate's, never trained on. Every other task with a
class is trained on, strongly where people drew or corrected regions. Triggers and reports take corrections from the
ledger, by another rule: see "A correction becomes a better version" in docs/architecture.md.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from backend.errors import ImageError
from backend.jobs.context import JobContext
from backend.jobs.fetch_images import fetch_views, raise_if_none_for_now
from backend.labelstudio.corrections import DrawnRegion, cleared_labels, drawn_regions, in_holdout
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.reviews import shows_nothing
from backend.labelstudio.task_labels import given_labels
from backend.labelstudio.task_views import all_views
from backend.storage.runs import Run
from backend.wording import counted
from wsol_core.data.images import open_image_small
from wsol_core.errors import DataError
from wsol_core.files import write_whole
from wsol_core.records import CorrectedRegion, Sample

logger = logging.getLogger(__name__)

AT_ONCE = 100  # tasks whose pictures are fetched together
MOST_REASONS = 3  # why pictures cannot be read
TASK = "task "  # what a sample's name begins with, before the task's number

Json = dict[str, Any]
OnRead = Callable[[int, int], None]


class Part(StrEnum):
    """What a task's picture is for: to be trained on, or to compare versions on."""

    TRAIN = "train"
    HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """What a picture teaches. `regions` are as people drew them; the manifest has them in pixels of the picture."""

    task: int
    labels: tuple[str, ...]
    regions: tuple[DrawnRegion, ...]
    part: Part
    view: int = 0

    @property
    def name(self) -> str:
        """What its files are called."""
        return _name(self.task, self.view)


@dataclass(frozen=True, slots=True)
class Pictures:
    """A run's pictures. `classes` are those that can be learned; the holdout may show others, too.

    `empty` are those to train on that show none of them.
    """

    train: Sequence[Sample]
    holdout: Sequence[Sample]
    empty: Sequence[Path] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the pictures that are trained on, in the order of the model's scores."""
        return tuple(sorted({label for sample in self.train for label in sample.labels}))


def frozen_manifest(context: JobContext, run: Run, on_read: OnRead) -> Path:
    """Return the run's manifest, read from Label Studio unless an earlier process of the run has.

    Args: on_read: told now and then how many tasks have been read, and how many there are; 0 where nobody knows.
    Raises: DataError where no picture can be learned from; UnreachableError and ImageNotNowError to be tried again.
    """
    path = context.stores.runs.folder(run.id) / "manifest.jsonl"
    if not path.is_file():
        write_whole(path, _read_project(context, run, on_read))
    return path


def read_pictures(manifest: Path) -> Pictures:
    """Return the samples of a manifest; their files are in the manifest's folder."""
    lines = [json.loads(text) for text in manifest.read_text(encoding="utf-8").splitlines()]
    parts: dict[Part, list[Sample]] = {part: [] for part in Part}
    for line in lines:
        parts[Part(line["part"])].append(_sample(manifest.parent, line))
    train = parts[Part.TRAIN]
    empty = [sample.path for sample in train if not sample.labels]
    return Pictures([sample for sample in train if sample.labels], parts[Part.HOLDOUT], empty)


def task_of(sample: Sample) -> int:
    """Return the task whose picture, or one of whose pictures, a manifest's sample is."""
    return int(sample.file.removeprefix(TASK).partition(".")[0])


def manifest_line(task: Mapping[str, Any], config: LabelConfig, project_id: str, view: int = 0) -> ManifestLine | None:
    """Return what a picture teaches; None if nobody gave it a class, nor said that it shows none.

    A class whose predicted objects a person removed, without drawing others, is not taught: nothing of it is there. One
    of which people corrected an object is finished: its regions are all that there is of it in the picture.
    """
    labels = _taught_labels(task, config)
    if labels is None:
        return None
    regions = tuple(region for region in drawn_regions(task, config) if region.label in labels)
    held = (bool(regions) or not labels) and in_holdout(project_id, int(task["id"]))
    return ManifestLine(task["id"], labels, regions, Part.HOLDOUT if held else Part.TRAIN, view)


def _taught_labels(task: Mapping[str, Any], config: LabelConfig) -> tuple[str, ...] | None:
    """Return a picture's classes, () where people said that it shows none; None where nobody said anything."""
    if shows_nothing(task, config):
        return ()
    cleared = cleared_labels(task, config)
    return tuple(label for label in given_labels(task, config) if label not in cleared) or None


def _name(task: int, view: int) -> str:
    return f"{task}.{view}" if view else str(task)


def _read_project(context: JobContext, run: Run, on_read: OnRead) -> bytes:
    client = context.label_studio()
    project = client.project(run.project_id)
    config = context.label_config(run.project_id, str(project.get("label_config", "")))
    count = int(project.get("task_number") or 0)
    folder = context.stores.runs.folder(run.id)
    lines: list[Json] = []
    unreadable: dict[int, ImageError] = {}
    seen = labelled = 0
    tasks = client.tasks(run.project_id)
    while page := list(islice(tasks, AT_ONCE)):
        found = [view for view in all_views(page, config) if _taught_labels(view.task, view.config) is not None]
        paths = fetch_views(context.media, found, run.project_id)
        raise_if_none_for_now(paths)
        for view, path in zip(found, paths, strict=True):
            # One after the other: the masks of a whole page would fill the memory.
            if isinstance(path, ImageError):
                unreadable[view.task["id"]] = path
            elif line := manifest_line(view.task, view.config, run.project_id, view.index):
                _link_or_copy(path, folder / "pictures" / line.name)
                kept = {"task": line.task, "labels": line.labels, "regions": _save_regions(line, folder)}
                lines.append({**kept, "part": line.part.value, **({"view": line.view} if line.view else {})})
        seen, labelled = seen + len(page), labelled + len(found)
        on_read(seen, count)
    if not any(line["part"] == Part.TRAIN and line["labels"] for line in lines):
        lack = _what_lacks(labelled, lines, unreadable)
        raise DataError(f"Project {run.project_id} has {counted(seen, 'task')}, {lack}")
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _what_lacks(labelled: int, lines: Sequence[Json], unreadable: Mapping[int, ImageError]) -> str:
    """Return why nothing can be learned, and what to do, as the end of a sentence that counts the tasks."""
    if not labelled or not (unreadable or any(line["labels"] for line in lines)):
        return "none with a class; choose classes for some tasks (Choices) and submit them, then train again."
    if not unreadable:
        return (
            f"{labelled} with a class, and all {len(lines)} of them are corrected ones that are held out to compare "
            "versions on; choose classes for more tasks and submit them, then train again."
        )
    reasons = Counter(map(str, unreadable.values()))
    shown = " ".join(f"Task {_first(unreadable, reason)}: {reason}" for reason, _ in reasons.most_common(MOST_REASONS))
    if (more := len(reasons) - MOST_REASONS) > 0:
        shown += f" The log has {counted(more, 'more reason')}."
    return f"{labelled} with a class, and no picture of those can be read. {shown}"


def _first(unreadable: Mapping[int, ImageError], reason: str) -> int:
    return next(task for task, error in unreadable.items() if str(error) == reason)


def _save_regions(line: ManifestLine, folder: Path) -> list[Json]:
    """Return what people drew on the picture, as the manifest has it; masks become files, one for each object."""
    if not line.regions:
        return []
    try:
        _, size_wh = open_image_small(folder / "pictures" / line.name, 32, f"task {line.task}")
    except DataError:  # training says so, once, and goes on without the picture
        return []
    kept = []
    for number, region in enumerate(line.regions):
        name = None
        if region.mask is not None:
            name = f"masks/{line.name}-{number}.png"
            (folder / name).parent.mkdir(exist_ok=True)
            Image.fromarray(region.mask).save(folder / name)
        kept.append({"label": region.label, "box_xyxy": region.box_in(size_wh), "mask": name})
    return kept


def _sample(folder: Path, line: Mapping[str, Any]) -> Sample:
    regions = tuple(
        CorrectedRegion(each["label"], tuple(each["box_xyxy"]), folder / each["mask"] if each["mask"] else None)
        for each in line["regions"]
    )
    name = _name(line["task"], line.get("view", 0))
    return Sample(f"{TASK}{name}", folder / "pictures" / name, tuple(line["labels"]), regions)


def _link_or_copy(picture: Path, kept: Path) -> None:
    """Give a picture of the cache, which evicts, a second name; that costs no space on the same disk."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        kept.hardlink_to(picture)
    except OSError:  # another disk, or one without links
        shutil.copyfile(picture, kept)
