"""Freeze what a run learns from: manifest, pictures, masks.

    {"task": 12, "labels": ["crab"], "regions": [{"label", "box_xyxy", "mask"}], "part": "train" | "holdout"}

Of a task with several pictures each has a line, all but the first with its `view`, 1 and so on. A picture without
labels is one in which people left nothing of what was predicted.

A fifth of the corrected tasks, always the same, is the holdout: the gate's, never trained on. Every other task with a
class is trained on, strongly where people drew or corrected regions. Triggers and reports take corrections from the
ledger, by another rule: see "A correction becomes a better version" in docs/architecture.md. read_samples.py reads what
has changed in Label Studio since the last run.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import DamagedFileError, ImageError
from backend.jobs.context import JobContext
from backend.jobs.fetch_images import fetch_indexed, raise_if_none_for_now
from backend.jobs.read_samples import OnCount, read_samples, tell_nobody
from backend.labelstudio.corrections import DrawnRegion
from backend.labelstudio.manifest_line import Part
from backend.storage.files import read_lines
from backend.storage.runs import Run
from backend.storage.sample_index import IndexedPicture, SampleIndex
from backend.wording import counted
from wsol_core.data.images import open_image_small
from wsol_core.errors import DataError
from wsol_core.files import write_whole
from wsol_core.records import CorrectedRegion, Sample

logger = logging.getLogger(__name__)

MOST_REASONS = 3  # why pictures cannot be read
TASK = "task "  # what a sample's name begins with, before the task's number

Json = dict[str, Any]


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


def frozen_manifest(
    context: JobContext, run: Run, on_read: OnCount = tell_nobody, on_fetched: OnCount = tell_nobody
) -> Path:
    """Return the run's manifest, made unless an earlier process of the run has.

    Args: on_read, on_fetched: told now and then how many tasks have been read, then of how many the pictures are there,
        and how many it will be; 0 where nobody knows.
    Raises: DataError where no picture can be learned from; UnreachableError and ImageNotNowError to be tried again.
    """
    path = context.stores.runs.folder(run.id) / "manifest.jsonl"
    if not path.is_file():
        index = read_samples(context, run.project_id, on_read)
        write_whole(path, _Freezer(context, run, index).lines(on_fetched))
    return path


def read_pictures(manifest: Path) -> Pictures:
    """Return the samples of a manifest; their files are in the manifest's folder. Raises: DamagedFileError."""
    parts: dict[Part, list[Sample]] = {part: [] for part in Part}
    try:
        for line in map(json.loads, read_lines(manifest)):
            parts[Part(line["part"])].append(_sample(manifest.parent, line))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(f"{manifest} cannot be understood ({error}); start the training again.") from error
    train = parts[Part.TRAIN]
    empty = [sample.path for sample in train if not sample.labels]
    return Pictures([sample for sample in train if sample.labels], parts[Part.HOLDOUT], empty)


def task_of(sample: Sample) -> int:
    """Return the task whose picture, or one of whose pictures, a manifest's sample is."""
    return int(sample.file.removeprefix(TASK).partition(".")[0])


def _name(task: int, view: int) -> str:
    return f"{task}.{view}" if view else str(task)


class _Freezer:
    """Puts the pictures and masks of an index into a run's folder, and says what each teaches."""

    def __init__(self, context: JobContext, run: Run, index: SampleIndex) -> None:
        self._context, self._run, self._index = context, run, index
        self._folder = context.stores.runs.folder(run.id)
        (self._folder / "pictures").mkdir(exist_ok=True)
        self._unreadable: dict[int, ImageError] = {}

    def lines(self, on_fetched: OnCount) -> bytes:
        """Return the manifest. Raises: DataError where no picture can be learned from."""
        lines: list[Json] = []
        labelled = tasks = 0
        most = self._index.teaching()
        for page in self._index.pages():
            lines += self._freeze(page)
            labelled, tasks = labelled + len(page), tasks + len({picture.task for picture in page})
            on_fetched(tasks, most)
        if not any(line["part"] == Part.TRAIN and line["labels"] for line in lines):
            lack = _what_lacks(labelled, lines, self._unreadable)
            raise DataError(f"Project {self._run.project_id} has {counted(self._index.count(), 'task')}, {lack}")
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()

    def _freeze(self, pictures: Sequence[IndexedPicture]) -> Iterator[Json]:
        """Return the manifest's lines of those pictures that can be had."""
        paths = fetch_indexed(self._context.media, pictures, self._run.project_id)
        raise_if_none_for_now(paths)
        sizes = {}
        for picture, path in zip(pictures, paths, strict=True):
            if isinstance(path, ImageError):
                self._unreadable[picture.task] = path
                continue
            kept = self._folder / "pictures" / _name(picture.task, picture.view)
            _link_or_copy(path, kept)
            size_wh = picture.size_wh
            if picture.regions and size_wh is None and (size_wh := _size_of(kept, picture.task)) is not None:
                sizes[picture.task, picture.view] = size_wh
            regions = self._regions(picture, size_wh) if size_wh else []
            line = {"task": picture.task, "labels": picture.labels, "regions": regions, "part": picture.part}
            yield {**line, **({"view": picture.view} if picture.view else {})}
        self._index.set_sizes(sizes)

    def _regions(self, picture: IndexedPicture, size_wh: tuple[int, int]) -> list[Json]:
        """Return what people drew on the picture, as the manifest has it; masks become files, one for each object."""
        drawn = any(region.has_mask for region in picture.regions)
        masks = self._index.masks(picture.task, picture.view) if drawn else {}
        kept = []
        for number, region in enumerate(picture.regions):
            name = None
            if number in masks:
                name = f"masks/{_name(picture.task, picture.view)}-{number}.png"
                (self._folder / name).parent.mkdir(exist_ok=True)
                (self._folder / name).write_bytes(masks[number])
            box = DrawnRegion(region.label, region.box_xyxy, region.size_wh).box_in(size_wh)
            kept.append({"label": region.label, "box_xyxy": box, "mask": name})
        return kept


def _size_of(path: Path, task: int) -> tuple[int, int] | None:
    try:
        return open_image_small(path, 32, f"task {task}")[1]
    except DataError:  # training says so, once, and goes on without the picture
        return None


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


def _sample(folder: Path, line: Mapping[str, Any]) -> Sample:
    regions = tuple(
        CorrectedRegion(each["label"], tuple(each["box_xyxy"]), folder / each["mask"] if each["mask"] else None)
        for each in line["regions"]
    )
    name = _name(line["task"], line.get("view", 0))
    return Sample(f"{TASK}{name}", folder / "pictures" / name, tuple(line["labels"]), regions)


def _link_or_copy(picture: Path, kept: Path) -> None:
    """Give a picture of the cache, which evicts, a second name; that costs no space on the same disk."""
    try:
        try:
            kept.hardlink_to(picture)
        except FileExistsError:  # of a process that was killed
            kept.unlink()
            kept.hardlink_to(picture)
    except OSError:  # another disk, or one without links
        shutil.copyfile(picture, kept)
