"""The model registry: immutable versions of every project, and which of them is live.

    <root>/<project>/<version>/     model.safetensors, model.json, manifest.jsonl, version.json
    <root>/<project>/CURRENT        the live version's name
    <root>/<project>/RETIRED        names of deleted versions, which are not given again
    <root>/<project>/<version>/DAMAGED    why loading refused its files, and which those were

A version is written under another name and renamed, then CURRENT is replaced; so a reader sees a whole version or none,
also after kill -9 at any point. wsol_core.localization.model_folder says what the model's files hold.

Disks break all the same. Where CURRENT, or the version it names, is damaged, the newest whole version is the live one
until somebody mends or activates another: `current` says so to everybody, and notes what is wrong.
"""

from __future__ import annotations

import errno
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from backend.errors import DamagedFileError, LiveVersionChangedError, NotFoundError, RegistryError
from backend.storage.files import (
    Damage,
    is_file,
    is_safe,
    locked,
    read_record,
    read_text,
    safe_name,
    write_json,
    write_text,
)
from backend.storage.version_facts import VersionFacts
from backend.storage.version_files import FACTS, NEEDED_FILES, fingerprint, folders, number_of, remove, write_version
from wsol_core.errors import StorageError
from wsol_core.files import is_full, next_step

logger = logging.getLogger(__name__)

CURRENT, RETIRED, DAMAGED = "CURRENT", "RETIRED", "DAMAGED"
ROOM_BYTES = 500 * 2**20  # for a version of the largest backbone
BEFORE_TRAINING = "untrained"
ANY = "any version"  # no version's name


@dataclass(frozen=True, slots=True)
class Version:
    """A published model, and where it comes from."""

    name: str
    folder: Path
    facts: VersionFacts


class ModelRegistry:
    """Versions of all projects below one folder, which several machines may share. Damaged ones are not listed."""

    def __init__(self, root: Path, damage: Damage | None = None) -> None:
        self.root, self._damage = root, damage or Damage()
        self._refused: dict[Path, str] = {}  # versions that this process could not load, where the store is read-only

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
        require_whole(model)
        with _disk_errors(project), locked(project / ".lock"):
            known, current = self.of_run(project_id, facts.run), self.current(project_id)
            if known is None and over not in (ANY, current):
                raise LiveVersionChangedError(f"{current} has become live, not {over}; judge the model again.")
            version = known or self._next_name(project_id)
            if known is None:
                facts = replace(facts, version=version, parent=current, created=time.time())
                write_version(project, version, model, facts, manifest)
            try:
                if live:
                    self._ensure_live(project_id, version, over)
            except StorageError:
                if known is None:
                    remove(project, version)
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
        """Return the live version; None before the first, or where none is whole."""
        path = self._project(project_id) / CURRENT
        try:
            named = read_text(path)
        except DamagedFileError as error:
            return self._stand_in(project_id, path, str(error))
        if named is None:
            self._damage.clear(path)
            return None
        name = named.strip()
        reason = self._why_not_whole(path.parent / name) if is_safe(name) else "that is no version's name"
        if reason is not None:
            return self._stand_in(project_id, path, f"{path} names {name[:60]!r}, and {reason}.")
        self._damage.clear(path)
        return name

    def refuse(self, project_id: str, version: str, reason: str, for_all: bool = True) -> None:
        """Say that the version's files cannot be loaded; another one is live until they are replaced.

        Args: for_all: for other processes as well, and for later ones.
        """
        folder = self._project(project_id) / safe_name(version, "version")
        self._refused[folder] = seen = fingerprint(folder)
        if for_all:
            with suppress(StorageError):  # a read-only store; this process knows it all the same
                write_json(folder / DAMAGED, {"reason": reason, "seen": seen})

    def label(self, project_id: str) -> str:
        """Return the version that Label Studio is told: the live one, or a name that says that there is none."""
        return self.current(project_id) or f"boxstrap-{safe_name(project_id, 'project')}-{BEFORE_TRAINING}"

    def folder(self, project_id: str, version: str) -> Path:
        """Return the version's folder, with all its files. Raises: NotFoundError if there is no such version."""
        return self._folder(project_id, version)

    def _folder(self, project_id: str, version: str) -> Path:
        folder = self._project(project_id) / safe_name(version, "version")
        if not is_file(folder / FACTS):
            known = ", ".join(found.name for found in self.versions(project_id)) or "none"
            raise NotFoundError(f"Project {project_id} has no version {version!r}; it has: {known}.")
        return folder

    def facts(self, project_id: str, version: str) -> VersionFacts:
        """Return where the version comes from.

        Raises: NotFoundError if there is no such version, DamagedFileError if that cannot be read.
        """
        return read_record(self._folder(project_id, version) / FACTS, VersionFacts.from_dict) or VersionFacts()

    def of_run(self, project_id: str, run: str | None) -> str | None:
        """Return the version that a run has published; None if it has not."""
        same = [found.name for found in self.versions(project_id) if run is not None and found.facts.run == run]
        return same[0] if same else None

    def versions(self, project_id: str) -> list[Version]:
        """Return all versions, oldest first."""
        found = [
            Version(folder.name, folder, facts)
            for folder in folders(self._project(project_id))
            if is_safe(folder.name) and (facts := self._damage.read(folder / FACTS, VersionFacts.from_dict)) is not None
        ]
        return sorted(found, key=lambda version: number_of(version.name))

    def projects(self) -> list[str]:
        """Return the projects that have a folder here; folders of other names belong to somebody else."""
        return sorted(path.name for path in folders(self.root) if path.name.isascii() and path.name.isdecimal())

    def has_folder(self, project_id: str) -> bool:
        """Return whether there is anything of the project."""
        return self._project(project_id).is_dir()

    def activate(self, project_id: str, version: str) -> None:
        """Make an existing version live, an older one too. Raises: NotFoundError if there is no such version."""
        self.folder(project_id, version)  # before the lock makes a folder for a project that does not exist
        with locked(self._project(project_id) / ".lock"):
            folder = self.folder(project_id, version)  # it may have been deleted while we waited
            self._require_fit(folder)
            write_text(folder.parent / CURRENT, version)

    def delete(self, project_id: str, version: str) -> None:
        """Remove a version that is not live; its name is not used again. Raises: NotFoundError if there is none."""
        project = self.folder(project_id, version).parent  # before the lock, as in `activate`
        with locked(project / ".lock"):
            folder = self.folder(project_id, version)
            self._require_not_live(project_id, version)
            write_text(project / RETIRED, "\n".join([*_retired(project), version]))
            remove(project, folder.name)

    def _require_fit(self, folder: Path) -> None:
        if (reason := self._why_not_whole(folder)) is not None:
            raise RegistryError(f"Version {folder.name} cannot be live: {reason}. Restore {folder} from a backup.")

    def _require_not_live(self, project_id: str, version: str) -> None:
        if self.current(project_id) == version:
            raise RegistryError(f"Version {version} is live; activate another one before deleting it.")

    def _ensure_live(self, project_id: str, version: str, over: str | None) -> None:
        current = self.current(project_id)
        if current != version and over in (ANY, current):
            write_text(self._project(project_id) / CURRENT, version)

    def _stand_in(self, project_id: str, path: Path, problem: str) -> str | None:
        """Return the newest whole version, and note why the one that `path` should name is not live."""
        whole = [found.name for found in self.versions(project_id) if self._why_not_whole(found.folder) is None]
        stand_in = whole[-1] if whole else None
        meanwhile = f"{stand_in} is live meanwhile" if stand_in else "no other version is whole, so none predicts"
        self._damage.note(
            path,
            f"{problem} {meanwhile}: restore it from a backup, or `boxstrap models activate {project_id} VERSION`.",
        )
        return stand_in

    def _why_not_whole(self, folder: Path) -> str | None:
        """Return what is wrong with a version, as a part of a sentence; None where nothing is."""
        if not folder.is_dir():
            return "there is no such version"
        for name in (FACTS, *NEEDED_FILES):
            if self._lacks(folder, name):
                return f"{name} of it is missing, empty, or another user's"
        if self._damage.read(folder / FACTS, VersionFacts.from_dict) is None:
            return f"its {FACTS} cannot be read"
        mark = self._damage.read(folder / DAMAGED, lambda values: (str(values["seen"]), str(values["reason"])))
        seen, reason = mark or (self._refused.get(folder), "its files cannot be loaded")
        is_same = seen is not None and seen == fingerprint(folder)
        return f"it cannot be loaded: {reason.rstrip('.')}" if is_same else None

    def _lacks(self, folder: Path, name: str) -> bool:
        path = folder / name
        return not is_file(path) or path.stat().st_size == 0

    def require_room(self, project_id: str, needed_bytes: int = ROOM_BYTES) -> None:
        """Raise StorageError unless a version of the project could be published now."""
        project = self._project(project_id)
        with _disk_errors(project):
            project.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=project, prefix=".new-"):
                if shutil.disk_usage(project).free < needed_bytes:
                    raise OSError(errno.ENOSPC, f"less than {needed_bytes // 2**20} MB are left")

    def _project(self, project_id: str) -> Path:
        return self.root / safe_name(project_id, "project")

    def _next_name(self, project_id: str) -> str:
        project = self._project(project_id)
        known = [path.name for path in folders(project)]
        number = 1 + max((number_of(name) for name in [*known, *_retired(project)]), default=0)
        return f"boxstrap-{project_id}-{number:04}"


def is_version_of(name: object, project_id: str) -> bool:
    """Return whether `name` names a version of the project, or stands for the lack of one before the first."""
    return isinstance(name, str) and name.startswith(f"boxstrap-{project_id}-")


def is_untrained(name: object) -> bool:
    """Return whether it stands for the lack of a version before the first."""
    return isinstance(name, str) and name.endswith(f"-{BEFORE_TRAINING}")


@contextmanager
def _disk_errors(project: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"No version could be published into {project}: {error.strerror or error}. "
            f"The live version stays, and so does what was trained; {next_step(error)}.",
            is_full(error),
        ) from error


def require_whole(model: Path) -> None:
    """Raise RegistryError where a run's model lacks a file."""
    if missing := [name for name in NEEDED_FILES if not (model / name).is_file()]:
        raise RegistryError(f"{model} cannot be published, it has no {missing[0]}; finish its training first.")


def _retired(project: Path) -> list[str]:
    try:
        return (read_text(project / RETIRED) or "").split()
    except DamagedFileError as error:  # a number that is given again does less harm than no version at all
        logger.warning("%s", error)
        return []
