"""Read what a project teaches into its index: all of it once, and then what has changed since.

Label Studio stamps a task whenever people make, change or delete an annotation of it. Of a deleted task no stamp is
left, so where the number of tasks is not the one that is known, those are searched by counting ever smaller parts.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from PIL import Image

from backend.errors import ImageError
from backend.jobs.context import JobContext
from backend.labelstudio.client import PAGE, LabelStudioClient
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.manifest_line import manifest_line
from backend.labelstudio.task_labels import image_reference
from backend.labelstudio.task_views import TaskView, views_of
from backend.labelstudio.unread_regions import unread_regions
from backend.storage.sample_index import IndexCursor, IndexedPicture, IndexedRegion, IndexedTask, SampleIndex
from backend.wording import counted
from wsol_core import __version__

logger = logging.getLogger(__name__)

RULES = 3  # how tasks are read; a change of this has all of them read again
MOST_REASONS = 5  # why regions teach nothing, that one warning names
OVERLAP = timedelta(minutes=1)  # a change is stamped before others can read it, a large one long before

Json = dict[str, Any]
OnCount = Callable[[int, int], None]


def tell_nobody(done: int, most: int) -> None:
    """Say to nobody how far it is: `done` of `most`."""


def read_samples(context: JobContext, project_id: str, on_read: OnCount = tell_nobody) -> SampleIndex:
    """Return the project's index, which says what Label Studio says now; a killed reading is resumed by the next.

    Args: on_read: told after each page how many tasks have been read, and how many there are; 0 where nobody knows.
    Raises: UnreachableError, to be tried again.
    """
    client, index = context.label_studio(), context.stores.samples(project_id)
    project = client.project(project_id)
    config = context.label_config(project_id, str(project.get("label_config", "")))
    reader = _Reader(client, index, project_id, config, int(project.get("task_number") or 0), on_read)
    rules = rules_of(config)
    cursor = index.cursor()
    if cursor is None or cursor.rules != rules:
        index.clear()
        cursor = IndexCursor(_newest_change(client, project_id, ""), rules, 0)
    if cursor.after_id != 0:
        since, newest = cursor.updated_at, _newest_change(client, project_id, cursor.updated_at)
        if cursor.after_id is not None:
            reader.read_all(cursor)
        reader.read_changes(since)
        cursor = replace(cursor, updated_at=newest)
    else:
        reader.read_all(cursor)
    reader.compare_numbers()
    reader.name_unread()
    index.set_cursor(replace(cursor, after_id=None))
    return index


def rules_of(config: LabelConfig) -> str:
    """Return what is different where tasks are read in another way."""
    return f"{RULES} {__version__} {config.digest}"


class _Reader:
    """Reads pages of one project's tasks into its index."""

    def __init__(
        self,
        client: LabelStudioClient,
        index: SampleIndex,
        project_id: str,
        config: LabelConfig,
        tasks: int,
        on_read: OnCount,
    ) -> None:
        """Args: tasks: how many the project has."""
        self._client, self._index, self._project_id, self._config = client, index, project_id, config
        self._tasks, self._on_read = tasks, on_read
        self._unread: Counter[str] = Counter()  # regions that teach nothing, by reason
        self._first: dict[str, int] = {}  # task with such a region

    def read_all(self, cursor: IndexCursor) -> None:
        """Read all tasks above `cursor.after_id`, and keep after each page how far that is."""
        after_id: int | None = cursor.after_id
        while after_id is not None:
            self._index.set_cursor(replace(cursor, after_id=after_id))
            after_id = self._read_page(after_id)

    def read_changes(self, updated_at: str) -> None:
        """Read tasks that have changed since `updated_at`."""
        after_id: int | None = 0
        since = datetime.fromisoformat(updated_at) - OVERLAP if updated_at else None
        while after_id is not None:
            after_id = self._read_page(after_id, since)

    def compare_numbers(self) -> None:
        """Forget tasks that are gone, and read those that were missed."""
        if self._tasks != self._index.count():
            self._compare(0, max(self._index.last(), self._client.last_task(self._project_id)))

    def _compare(self, above: int, up_to: int) -> None:
        """Do so for tasks whose number is above the one and not above the other, where their count differs."""
        known, there = self._index.count(above, up_to), self._client.count_tasks(self._project_id, above, up_to)
        if known == there:
            return
        if max(known, there) <= PAGE:
            page = [task for task in self._client.task_page(self._project_id, above) if int(task["id"]) <= up_to]
            self._put(page)
            self._index.forget(self._index.changed(above + 1, up_to).keys() - {int(task["id"]) for task in page})
            return
        middle = (above + up_to) // 2
        self._compare(above, middle)
        self._compare(middle, up_to)

    def _put(self, page: list[Json]) -> None:
        if not page:
            return
        known = self._index.changed(int(page[0]["id"]), int(page[-1]["id"]))
        new = [task for task in page if known.get(task["id"], "") != task.get("updated_at", "?")]
        # One after the other: the masks of a whole page would fill the memory.
        self._index.put([indexed_task(task, self._config, self._project_id) for task in new])
        for task in new:
            for reason in unread_regions(task, self._config):
                self._unread[reason] += 1
                self._first.setdefault(reason, int(task["id"]))

    def name_unread(self) -> None:
        """Say in the log which regions teach nothing, of all that were read."""
        if self._unread:
            most = self._unread.most_common(MOST_REASONS)
            reasons = "; ".join(f"{reason} ({number}, task {self._first[reason]})" for reason, number in most)
            all_of_them = counted(self._unread.total(), "drawn region")
            logger.warning("project %s: nothing is learned from %s: %s", self._project_id, all_of_them, reasons)

    def _read_page(self, after_id: int, since: datetime | None = None) -> int | None:
        """Read one page; return the number of its last task, None where it is the last page."""
        page = self._client.task_page(self._project_id, after_id, PAGE, since)
        self._put(page)
        self._on_read(self._index.count(), self._tasks)
        return int(page[-1]["id"]) if len(page) == PAGE else None


def indexed_task(task: Json, config: LabelConfig, project_id: str) -> IndexedTask:
    """Return what a task teaches."""
    masks: dict[tuple[int, int], bytes] = {}
    found = [_indexed_picture(view, project_id, masks) for view in views_of(task, config)]
    pictures = [picture for picture in found if picture is not None]
    return IndexedTask(int(task["id"]), str(task.get("updated_at", "")), pictures, masks)


def _indexed_picture(view: TaskView, project_id: str, masks: dict[tuple[int, int], bytes]) -> IndexedPicture | None:
    """Return what a picture teaches, None where that is nothing; its masks are put into `masks`."""
    line = manifest_line(view.task, view.config, project_id, view.index)
    if line is None:
        return None
    reference, problem = _reference(view)
    regions = []
    for number, region in enumerate(line.regions):
        regions.append(IndexedRegion(region.label, region.box_xyxy, region.size_wh, region.mask is not None))
        if region.mask is not None:
            file = BytesIO()
            Image.fromarray(region.mask).save(file, "PNG")
            masks[line.view, number] = file.getvalue()
    return IndexedPicture(line.task, line.view, reference, line.labels, line.part.value, tuple(regions), problem)


def _reference(view: TaskView) -> tuple[str, str]:
    """Return where a picture is, or "" and why nobody knows."""
    try:
        return image_reference(view.task, view.config), ""
    except ImageError as error:
        return "", str(error)


def _newest_change(client: LabelStudioClient, project_id: str, known: str) -> str:
    """Return when a task was changed last; `known` where none was later than that."""
    newest = client.newest_change(project_id, datetime.fromisoformat(known) if known else None)
    return newest.isoformat() if newest else known
