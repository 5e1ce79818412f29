"""Which projects are to be connected in Label Studio as soon as `boxstrap up` can be reached."""

from __future__ import annotations

from pathlib import Path

from backend.storage.files import Damage, is_safe, safe_name, write_json


class ConnectionStore:
    """One small file a project below one folder, until it is connected."""

    def __init__(self, root: Path, damage: Damage | None = None) -> None:
        self.root, self._damage = root, damage or Damage()

    def want(self, project_id: str, url: str) -> None:
        """Keep that a project is to be connected to us at `url`."""
        write_json(self._path(project_id), {"url": url})

    def done(self, project_id: str) -> None:
        """Forget the wish."""
        self._path(project_id).unlink(missing_ok=True)

    def wanted(self) -> dict[str, str]:
        """Return the address for each project that waits."""
        names = [path.stem for path in self.root.glob("*.json") if is_safe(path.stem)] if self.root.is_dir() else []
        found = {name: self._damage.read(self._path(name), lambda values: str(values["url"])) for name in sorted(names)}
        return {name: url for name, url in found.items() if url is not None}

    def _path(self, project_id: str) -> Path:
        return self.root / f"{safe_name(project_id, 'project')}.json"
