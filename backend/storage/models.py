"""The model registry: immutable versions of every project, and which of them is live.

    <root>/<project>/<version>/     model.safetensors, model.json, manifest.jsonl, version.json
    <root>/<project>/CURRENT        the live version's name
    <root>/<project>/RETIRED        names of deleted versions, which are not given again

A version is written under another name and renamed, then CURRENT is replaced; so a reader sees a whole version or none,
also after kill -9 at any point. wsol_core.localization.model_folder says what the model's files hold.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backend.errors import LiveVersionChangedError, NotFoundError, RegistryError
from backend.storage.files import locked, read_json, safe_name, write_json
from backend.storage.version_facts import VersionFacts
from wsol_core.errors import StorageError
from wsol_core.files import write_whole

NEEDED_FILES, OTHER_FILES = ("model.safetensors", "model.json"), ("history.jsonl",)
RUBBISH = (".new-*", ".deleted-*", ".*.part")  # left by processes that were killed
FACTS = "version.json"
BEFORE_TRAINING = "untrained"
ANY = "any version"  # no version's name


@dataclass(frozen=True, slots=True)
class Version:
    """A published model, and where it comes from."""

    name: str
    folder: Path
    facts: VersionFacts


class ModelRegistry:
    """Versions of all projects below one folder, which several machines may share."""

    def __init__(self, root: Path) -> None:
        self.root = root

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
        """Copy the finished model of a run into a new version, make it the live one, and return its name.

        The same `facts.run` is published once: a second call gives the version of the first.
        Args: over: the version that it was judged against, which has to be live still.
        Raises: StorageError where the disk is full; nothing has changed then. RegistryError where `model` lacks a file.
            LiveVersionChangedError where another version than `over` is live and the run has not published yet.
        """
        project = self._project(project_id)
        if missing := [name for name in NEEDED_FILES if not (model / name).is_file()]:
            raise RegistryError(f"{model} cannot be published, it has no {missing[0]}; finish its training first.")
        with _disk_errors(project), locked(project / ".lock"):
            known, current = self.of_run(project_id, facts.run), self.current(project_id)
            if known is None and over not in (ANY, current):
                raise LiveVersionChangedError(f"{current} has become live, not {over}; judge the model again.")
            version = known or f"boxstrap-{project_id}-{self._next_number(project):04}"
            if known is None:
                facts = replace(facts, version=version, parent=current, created=time.time())
                _write_version(project, version, model, facts, manifest)
            try:
                if live:
                    self._ensure_live(project_id, version, over)
            except StorageError:
                if known is None:
                    _remove(project, version)
                raise
        return version

    def ensure_live(self, project_id: str, version: str, over: str | None = ANY) -> None:
        """Make `version` live if the process that published it died before it did.

        Nothing where it is live, or where another version than `over` is: then somebody has chosen that meanwhile.
        """
        project = self.folder(project_id, version).parent
        with _disk_errors(project), locked(project / ".lock"):
            self._ensure_live(project_id, version, over)

    def current(self, project_id: str) -> str | None:
        """Return the live version; None before the first."""
        try:
            return (self._project(project_id) / "CURRENT").read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def label(self, project_id: str) -> str:
        """Return the version that Label Studio is told: the live one, or a name that says that there is none."""
        return self.current(project_id) or f"boxstrap-{safe_name(project_id, 'project')}-{BEFORE_TRAINING}"

    def folder(self, project_id: str, version: str) -> Path:
        """Return the version's folder. Raises: NotFoundError if there is no such version."""
        folder = self._project(project_id) / safe_name(version, "version")
        if not (folder / FACTS).is_file():
            known = ", ".join(found.name for found in self.versions(project_id)) or "none"
            raise NotFoundError(f"Project {project_id} has no version {version!r}; it has: {known}.")
        return folder

    def facts(self, project_id: str, version: str) -> VersionFacts:
        """Return where the version comes from. Raises: NotFoundError if there is no such version."""
        return VersionFacts.from_dict(read_json(self.folder(project_id, version) / FACTS) or {})

    def of_run(self, project_id: str, run: str | None) -> str | None:
        """Return the version that a run has published; None if it has not."""
        same = [found.name for found in self.versions(project_id) if run is not None and found.facts.run == run]
        return same[0] if same else None

    def versions(self, project_id: str) -> list[Version]:
        """Return all versions, oldest first."""
        project = self._project(project_id)
        found = [
            Version(folder.name, folder, VersionFacts.from_dict(facts))
            for folder in (project.iterdir() if project.is_dir() else ())
            if folder.is_dir() and not folder.name.startswith(".") and (facts := read_json(folder / FACTS)) is not None
        ]
        return sorted(found, key=lambda version: _number(version.name))

    def projects(self) -> list[str]:
        """Return the projects that have a folder here."""
        return sorted(path.name for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []

    def activate(self, project_id: str, version: str) -> None:
        """Make an existing version live, an older one too. Raises: NotFoundError if there is no such version."""
        self.folder(project_id, version)  # before the lock makes a folder for a project that does not exist
        with locked(self._project(project_id) / ".lock"):
            self.folder(project_id, version)  # it may have been deleted while we waited
            write_whole(self._project(project_id) / "CURRENT", version.encode())

    def delete(self, project_id: str, version: str) -> None:
        """Remove a version that is not live; its name is not used again. Raises: NotFoundError if there is none."""
        project = self.folder(project_id, version).parent  # before the lock, as in `activate`
        with locked(project / ".lock"):
            folder = self.folder(project_id, version)
            if self.current(project_id) == version:
                raise RegistryError(f"Version {version} is live; activate another one before deleting it.")
            write_whole(project / "RETIRED", "\n".join([*_retired(project), version]).encode())
            _remove(project, folder.name)

    def _ensure_live(self, project_id: str, version: str, over: str | None) -> None:
        current = self.current(project_id)
        if current != version and over in (ANY, current):
            write_whole(self._project(project_id) / "CURRENT", version.encode())

    def _project(self, project_id: str) -> Path:
        return self.root / safe_name(project_id, "project")

    def _next_number(self, project: Path) -> int:
        known = [path.name for path in project.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return 1 + max((_number(name) for name in [*known, *_retired(project)]), default=0)


def is_version_of(name: object, project_id: str) -> bool:
    """Return whether `name` names a version of the project, or stands for the lack of one before the first."""
    return isinstance(name, str) and name.startswith(f"boxstrap-{project_id}-")


def _write_version(project: Path, version: str, model: Path, facts: VersionFacts, manifest: Path | None) -> None:
    for left in (path for pattern in RUBBISH for path in project.glob(pattern)):  # the lock says that nobody is at work
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    temporary = project / f".new-{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
        for source in (*(model / name for name in (*NEEDED_FILES, *OTHER_FILES)), *([manifest] if manifest else [])):
            if source.is_file():
                shutil.copyfile(source, temporary / source.name)
                _sync(temporary / source.name)
        write_json(temporary / FACTS, facts.to_dict())
        _sync(temporary)
        temporary.rename(project / version)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    try:
        _sync(project)
    except OSError:
        _remove(project, version)
        raise


def _remove(project: Path, version: str) -> None:
    rubbish = project / f".deleted-{uuid.uuid4().hex}"
    (project / version).rename(rubbish)
    shutil.rmtree(rubbish, ignore_errors=True)


@contextmanager
def _disk_errors(project: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"No version could be published into {project}: {error.strerror or error}. "
            "The live version stays; make room, then start the training again."
        ) from error


def _sync(path: Path) -> None:
    """Flush to the disk, so that a power cut leaves no version with empty files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _number(version: str) -> int:
    digits = version.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _retired(project: Path) -> list[str]:
    try:
        return (project / "RETIRED").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []
