"""Small pictures of what versions and running trainings find, for the page.

    <root>/<project>/<name>/<task>.jpg   a task's picture with boxes and masks; `name` is a version or a run
    <root>/<project>/<name>/index.json   which tasks are shown, the least certain first

They are made anew by whoever predicts, so that nothing is lost where a file is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.errors import DamagedFileError
from backend.storage.files import checked, is_safe, locked, read_json, safe_name, write_json
from wsol_core.files import write_whole

MOST = 12
INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class GalleryPicture:
    """A task whose picture is shown. `score` is how certain its objects are, in [0, 1]: 0 where none is shown.

    `left_out` counts further ones that were found, which would cost a person more than they save.
    """

    task: int
    score: float
    labels: tuple[str, ...]
    objects: int
    left_out: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GalleryPicture:
        """Read what `asdict` gave; older ones know nothing of what is left out. ValueError names a wrong value."""
        return checked(cls, values)


@dataclass(frozen=True, slots=True)
class Drawable:
    """A picture that may come into a gallery; `jpeg` draws it, which takes time."""

    shown: GalleryPicture
    jpeg: Callable[[], bytes]


class GalleryStore:
    """All galleries below one folder, which several machines may share."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, project_id: str, name: str) -> list[GalleryPicture]:
        """Return what is shown, the least certain first."""
        try:
            values = read_json(self._folder(project_id, name) / INDEX) or {}
            return [GalleryPicture.from_dict(each) for each in values.get("pictures", ())]
        except (DamagedFileError, LookupError, TypeError, ValueError):  # it is made anew with the next predictions
            return []

    def add(self, project_id: str, name: str, pictures: Iterable[Drawable], anew: bool = False) -> None:
        """Show the MOST least certain of those that are shown and `pictures`, which replace their tasks' older ones.

        Args: anew: show `pictures` alone, in their order.
        """
        folder, new = self._folder(project_id, name), {each.shown.task: each for each in pictures}
        if not new:
            return
        with locked(folder.parent / ".lock"):
            known = [] if anew else [each for each in self.find(project_id, name) if each.task not in new]
            merged = [*known, *(each.shown for each in new.values())]
            kept = merged if anew else sorted(merged, key=lambda each: (each.score, each.task))
            kept = kept[:MOST]
            folder.mkdir(exist_ok=True)
            for each in kept:
                if each.task in new:
                    write_whole(folder / f"{each.task}.jpg", new[each.task].jpeg())
            write_json(folder / INDEX, {"pictures": [asdict(each) for each in kept]})
            for file in folder.glob("*.jpg"):
                if file.stem not in {str(each.task) for each in kept}:
                    file.unlink()

    def keep(self, project_id: str, names: Collection[str]) -> None:
        """Remove the galleries of all other versions and runs of the project."""
        project = self.root / safe_name(project_id, "project")
        for folder in project.iterdir() if project.is_dir() else ():
            if folder.is_dir() and folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)

    def picture(self, project_id: str, name: str, task: str) -> Path | None:
        """Return the file of a task's picture; None if it is not shown."""
        if not all(map(is_safe, (project_id, name, task))):
            return None
        file = self._folder(project_id, name) / f"{task}.jpg"
        return file if file.is_file() else None

    def _folder(self, project_id: str, name: str) -> Path:
        return self.root / safe_name(project_id, "project") / safe_name(name, "version")
