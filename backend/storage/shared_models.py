"""The model registry of several machines that share a bucket instead of a folder.

    models/<project>/<version>/version.json   where the version comes from, and its files by their SHA-256
    models/<project>/CURRENT, RETIRED         as in models.py, changed under a condition
    blobs/<SHA-256>                           files of versions

A version is there once its version.json is, which is written last and only where there is none of that name; so two
machines cannot publish over each other, and whoever reads sees a whole version or none. This machine has copies, files
of versions once they are needed; each is compared with its SHA-256 before it takes its name.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from backend.errors import DamagedFileError, LiveVersionChangedError
from backend.storage.bucket import Bucket
from backend.storage.files import Damage, json_text, read_record
from backend.storage.models import ANY, CURRENT, RETIRED, ModelRegistry, Version, require_whole
from backend.storage.shared_folder import SharedFolder
from backend.storage.version_facts import VersionFacts
from backend.storage.version_files import FACTS, NEEDED_FILES, OTHER_FILES
from wsol_core.errors import StorageError

FILES = "files"  # of version.json: name -> SHA-256
SHARED = (CURRENT, RETIRED, FACTS)
CHUNK_BYTES = 2**20


class SharedModelRegistry(ModelRegistry):
    """Versions of a bucket; `root` has copies of them."""

    def __init__(self, bucket: Bucket, local: Path, damage: Damage | None = None) -> None:
        super().__init__(local / "models", damage)
        self._bucket, self._shared = bucket, SharedFolder(bucket, "models", self.root)

    def publish(
        self,
        project_id: str,
        model: Path,
        facts: VersionFacts,
        manifest: Path | None = None,
        *,
        live: bool = True,
        over: str | None = ANY,
    ) -> str:
        """As in the base; what has been sent stays in the bucket where it fails, and is used the next time."""
        require_whole(model)
        names = [model / name for name in (*NEEDED_FILES, *OTHER_FILES)]
        files = {path.name: self._send(path) for path in [*names, *([manifest] if manifest else [])] if path.is_file()}
        while True:
            self._pull(now=True)
            known, current = self.of_run(project_id, facts.run), self.current(project_id)
            if known is None and over not in (ANY, current):
                raise LiveVersionChangedError(f"{current} has become live, not {over}; judge the model again.")
            version = known or self._next_name(project_id)
            values = replace(facts, version=version, parent=current, created=time.time()).to_dict()
            text = json_text({**values, FILES: files})
            if known or self._shared.write(f"{project_id}/{version}/{FACTS}", text, over=None):
                if live:
                    self._ensure_live(project_id, version, over)
                return version

    def ensure_live(self, project_id: str, version: str, over: str | None = ANY) -> None:
        """As in the base."""
        self._folder(project_id, version)
        self._ensure_live(project_id, version, over)

    def current(self, project_id: str) -> str | None:
        """As in the base."""
        self._pull()
        return super().current(project_id)

    def versions(self, project_id: str) -> list[Version]:
        """As in the base; their folders hold copies of what was needed so far."""
        self._pull()
        return super().versions(project_id)

    def projects(self) -> list[str]:
        """As in the base."""
        self._pull()
        return super().projects()

    def has_folder(self, project_id: str) -> bool:
        """As in the base."""
        self._pull()
        return super().has_folder(project_id)

    def folder(self, project_id: str, version: str) -> Path:
        """As in the base. Raises: StorageError where its files cannot be fetched."""
        folder = self._folder(project_id, version)
        for name, digest in _files(folder).items():
            if not (folder / name).is_file():
                self._fetch(digest, folder / name)
        return folder

    def activate(self, project_id: str, version: str) -> None:
        """As in the base."""
        self._require_fit(self.folder(project_id, version))
        self._shared.put(f"{project_id}/{CURRENT}", version)

    def delete(self, project_id: str, version: str) -> None:
        """As in the base; files that another version of the project has as well stay."""
        files = set(_files(self._folder(project_id, version)).values())
        self._pull(now=True)
        self._require_not_live(project_id, version)
        self._shared.change(f"{project_id}/{RETIRED}", lambda text: "\n".join([*(text or "").split(), version]))
        self._shared.remove(f"{project_id}/{version}/{FACTS}")
        self._pull(now=True)
        kept = {digest for each in self.versions(project_id) for digest in _files(each.folder).values()}
        for digest in files - kept:
            self._bucket.remove(_blob(digest))

    def refuse(self, project_id: str, version: str, reason: str, for_all: bool = True) -> None:
        """As in the base, for this machine; a copy that has been damaged here is fetched again instead."""
        folder = self._folder(project_id, version)
        damaged = [name for name, digest in _files(folder).items() if _digest(folder / name) not in (None, digest)]
        for name in damaged:
            (folder / name).unlink(missing_ok=True)
        if not damaged:
            super().refuse(project_id, version, reason)

    def require_room(self, project_id: str, *needed: int) -> None:
        """As in the base, here, and in the bucket."""
        super().require_room(project_id, *needed)
        self._bucket.require_conditions()

    def _pull(self, now: bool = False) -> None:
        for name in self._shared.pull_all(lambda name: name.rpartition("/")[2] in SHARED, now):
            if name.endswith(f"/{FACTS}"):
                shutil.rmtree((self.root / name).parent, ignore_errors=True)

    def _folder(self, project_id: str, version: str) -> Path:
        self._pull(now=not (self._project(project_id) / version / FACTS).is_file())  # it may be new
        return super()._folder(project_id, version)

    def _ensure_live(self, project_id: str, version: str, over: str | None) -> None:
        name = f"{project_id}/{CURRENT}"
        seen = self._shared.read(name)
        self._pull(now=True)
        if self.current(project_id) == version or over not in (ANY, self.current(project_id)):
            return
        if not self._shared.write(name, version, None if seen is None else seen.tag) and over is ANY:
            self._shared.put(name, version)

    def _lacks(self, folder: Path, name: str) -> bool:
        return super()._lacks(folder, name) and name not in _files(folder)

    def _send(self, path: Path) -> str:
        digest = _digest(path) or ""
        if self._bucket.tag(_blob(digest)) is None:
            self._bucket.send(path, _blob(digest))
        return digest

    def _fetch(self, digest: str, path: Path) -> None:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".fetch-", delete=False) as file:
            temporary = Path(file.name)
        try:
            if not self._bucket.fetch(_blob(digest), temporary) or _digest(temporary) != digest:
                raise StorageError(
                    f"{self._bucket.url}/{_blob(digest)}, {path.name} of {path.parent.name}, is missing or damaged; "
                    "restore it from a backup, or activate another version."
                )
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _files(folder: Path) -> Mapping[str, str]:
    """Name -> SHA-256 of a version's files."""
    try:
        return read_record(folder / FACTS, lambda values: {str(n): str(d) for n, d in values[FILES].items()}) or {}
    except DamagedFileError:
        return {}


def _digest(path: Path) -> str | None:
    """The SHA-256 of a file; None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blob(digest: str) -> str:
    return f"blobs/{digest}"
