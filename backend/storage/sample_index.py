"""What each picture of a project teaches, as it was last read, so that the next training reads what has changed since.

One SQLite file a project. All of it can be read from Label Studio again, so a broken file is removed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.errors import DamagedFileError
from backend.storage.files import put_aside, safe_name
from backend.storage.sqlite_file import SqliteFile, is_in_use
from wsol_core.errors import StorageError

LAYOUT = """
CREATE TABLE IF NOT EXISTS tasks (task INTEGER PRIMARY KEY, changed TEXT, pictures TEXT);
CREATE TABLE IF NOT EXISTS masks (
    task INTEGER, view INTEGER, region INTEGER, png BLOB, PRIMARY KEY (task, view, region)
);
CREATE TABLE IF NOT EXISTS cursor (only INTEGER PRIMARY KEY CHECK (only = 0), cursor TEXT);
"""
AT_ONCE = 100  # tasks whose pictures are wanted together

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexedRegion:
    """An object that people drew. box_xyxy: in pixels of a picture of `size_wh`. has_mask: see SampleIndex.masks."""

    label: str
    box_xyxy: tuple[float, float, float, float]
    size_wh: tuple[int, int]
    has_mask: bool = False


@dataclass(frozen=True, slots=True)
class IndexedPicture:
    """A picture that teaches something. reference: where it is; "" where the task does not say it, `problem` says why.

    view: its place among the task's pictures. size_wh: of its file, upright; None as long as nobody has opened it.
    """

    task: int
    view: int
    reference: str
    labels: tuple[str, ...]
    part: str
    regions: tuple[IndexedRegion, ...] = ()
    problem: str = ""
    size_wh: tuple[int, int] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> IndexedPicture:
        """Read what `asdict` gave, after a way through JSON."""
        regions = tuple(
            IndexedRegion(each["label"], tuple(each["box_xyxy"]), tuple(each["size_wh"]), each["has_mask"])
            for each in values["regions"]
        )
        size_wh = values["size_wh"] and tuple(values["size_wh"])
        return cls(**{**values, "labels": tuple(values["labels"]), "regions": regions, "size_wh": size_wh})


@dataclass(frozen=True, slots=True)
class IndexedTask:
    """A task as it was at `changed`, Label Studio's time. masks: (view, region) -> PNG of the annotation's size."""

    number: int
    changed: str
    pictures: Sequence[IndexedPicture]
    masks: Mapping[tuple[int, int], bytes]


@dataclass(frozen=True, slots=True)
class IndexCursor:
    """How far the project has been read: all changes up to `updated_at`, Label Studio's time.

    rules: what tasks were read by; tasks that were read by others are read again. after_id: the last task of a reading
    of all tasks that has not ended; None where none goes on.
    """

    updated_at: str
    rules: str
    after_id: int | None


class SampleIndex:
    """The index of one project. Raises DamagedFileError where it is broken, StorageError where it cannot be written."""

    def __init__(self, folder: Path, project_id: str) -> None:
        """Nothing is made on disk before something is kept."""
        path = folder / f"{safe_name(project_id, 'project')}.sqlite"
        self._file = SqliteFile(path, LAYOUT, "what the project teaches is read from Label Studio again")

    def cursor(self) -> IndexCursor | None:
        """Return how far the project has been read; None before the first time. A broken file is removed.

        Raises: StorageError where another process keeps it for itself, to be tried again.
        """
        try:
            found = self._file.first("SELECT cursor FROM cursor")
            return IndexCursor(**json.loads(found[0])) if found else None
        except (DamagedFileError, ValueError, TypeError) as error:
            if is_in_use(error):
                raise StorageError(
                    f"{self._file.path} is in use by another process; try again when that is done."
                ) from error
            logger.warning("%s is removed, and made again: %s", self._file.path, error)
            if self._file.path.is_dir():
                put_aside(self._file.path)
            self._file.path.unlink(missing_ok=True)
            return None

    def set_cursor(self, cursor: IndexCursor) -> None:
        """Keep how far the project has been read."""
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO cursor VALUES (0, ?)", (json.dumps(asdict(cursor)),))

    def clear(self) -> None:
        """Forget everything."""
        with self._file.transaction() as db:
            for table in ("tasks", "masks", "cursor"):
                db.execute(f"DELETE FROM {table}")

    def count(self, above: int = 0, up_to: int = 2**63 - 1) -> int:
        """Return how many tasks have been read, of those whose number is above the one and not above the other."""
        sql = "SELECT count(*) FROM tasks WHERE task > ? AND task <= ?"
        return self._file.number(sql, above, up_to)

    def last(self) -> int:
        """Return the largest number of a task; 0 where there is none."""
        return self._file.number("SELECT coalesce(max(task), 0) FROM tasks")

    def teaching(self) -> int:
        """Return how many tasks teach something."""
        return self._file.number("SELECT count(*) FROM tasks WHERE pictures != '[]'")

    def changed(self, first: int, last: int) -> dict[int, str]:
        """Return when tasks with these numbers, both included, had changed last as they were read: number -> time."""
        return dict(self._file.all("SELECT task, changed FROM tasks WHERE task BETWEEN ? AND ?", first, last))

    def put(self, tasks: Iterable[IndexedTask]) -> None:
        """Put tasks in place of what is known of them."""
        with self._file.transaction() as db:
            for task in tasks:
                pictures = json.dumps([asdict(picture) for picture in task.pictures], ensure_ascii=False)
                db.execute("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?)", (task.number, task.changed, pictures))
                db.execute("DELETE FROM masks WHERE task = ?", (task.number,))
                masks = [(task.number, *place, png) for place, png in task.masks.items()]
                db.executemany("INSERT INTO masks VALUES (?, ?, ?, ?)", masks)

    def forget(self, numbers: Iterable[int]) -> None:
        """Remove tasks that are gone."""
        gone = [(number,) for number in numbers]
        with self._file.transaction() as db:
            for table in ("tasks", "masks"):
                db.executemany(f"DELETE FROM {table} WHERE task = ?", gone)

    def pages(self) -> Iterator[list[IndexedPicture]]:
        """Return the pictures that teach something, by task, some hundred at a time."""
        after = -1
        sql = "SELECT task, pictures FROM tasks WHERE task > ? AND pictures != '[]' ORDER BY task LIMIT ?"
        while found := self._file.all(sql, after, AT_ONCE):
            yield [IndexedPicture.from_dict(values) for _, pictures in found for values in json.loads(pictures)]
            after = found[-1][0]

    def masks(self, task: int, view: int) -> dict[int, bytes]:
        """Return the masks of a picture as PNG files: number of the region -> file."""
        return dict(self._file.all("SELECT region, png FROM masks WHERE task = ? AND view = ?", task, view))

    def set_sizes(self, sizes: Mapping[tuple[int, int], tuple[int, int]]) -> None:
        """Keep the sizes of pictures that have been opened: (task, view) -> (width, height)."""
        if not sizes:
            return
        tasks = {task for task, _ in sizes}
        with self._file.transaction() as db:
            for task in tasks:
                found = db.execute("SELECT pictures FROM tasks WHERE task = ?", (task,)).fetchone()
                pictures = json.loads(found[0]) if found else []
                for picture in pictures:
                    picture["size_wh"] = sizes.get((task, picture["view"]), picture["size_wh"])
                kept = json.dumps(pictures, ensure_ascii=False)
                db.execute("UPDATE tasks SET pictures = ? WHERE task = ?", (kept, task))
