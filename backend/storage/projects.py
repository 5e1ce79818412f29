"""Keep what /setup and events say of each Label Studio project. No tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.storage.files import Damage, checked, is_safe, json_text, safe_name
from backend.storage.shared_folder import LocalFolder, SharedFolder


@dataclass(frozen=True, slots=True)
class Project:
    """`id` is Label Studio's number as text; `hostname` is the address it calls itself; `title` comes with events."""

    id: str
    label_config: str
    hostname: str = ""
    title: str = ""


class ProjectStore:
    """One small file a project below one folder. A damaged one counts as none: Label Studio says it all again."""

    def __init__(self, root: Path, damage: Damage | None = None, shared: SharedFolder | None = None) -> None:
        """Args: shared: what several machines share, whose copies are then below `root`."""
        self.root, self._damage, self._folder = root, damage or Damage(), shared or LocalFolder(root)

    def remember(self, project: Project) -> None:
        """Write the project if it has changed; Label Studio says the same all the time."""
        if self.find(project.id) != project:
            self._folder.put(self._path(project.id).name, json_text(asdict(project)))

    def find(self, project_id: str) -> Project | None:
        """Return the project, if it was ever set up."""

        def parse(values: dict[str, Any]) -> Project:
            project = checked(Project, values)
            if project.id != project_id:
                raise ValueError(f"it is project {project.id!r}'s")
            return project

        self._folder.pull(self._path(project_id).name)
        return self._damage.read(self._path(project_id), parse)

    def all(self) -> list[Project]:
        """Return every project, by number."""
        self._folder.pull_all(lambda name: name.endswith(".json"))
        names = [path.stem for path in self.root.glob("*.json") if is_safe(path.stem)] if self.root.is_dir() else []
        found = [project for name in names if (project := self.find(name)) is not None]
        return sorted(found, key=lambda project: (len(project.id), project.id))

    def _path(self, project_id: str) -> Path:
        return self.root / f"{safe_name(project_id, 'project')}.json"
