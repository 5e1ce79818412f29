"""The files of a published version: written under another name, synced and renamed; so they are whole or not there."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from backend.storage.files import write_json
from backend.storage.version_facts import VersionFacts
from wsol_core import __version__

HISTORY = "history.jsonl"  # losses over time
NEEDED_FILES, OTHER_FILES = ("model.safetensors", "model.json"), (HISTORY,)
FACTS = "version.json"
RUBBISH = (".new-*", ".deleted-*", ".*.part")  # left by processes that were killed


def write_version(project: Path, version: str, model: Path, facts: VersionFacts, manifest: Path | None) -> None:
    """Copy a model's files, with where they come from, into the project's folder of versions, which is locked."""
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
        remove(project, version)
        raise


def remove(project: Path, version: str) -> None:
    """Remove a version at once for readers, whoever is killed."""
    rubbish = project / f".deleted-{uuid.uuid4().hex}"
    (project / version).rename(rubbish)
    shutil.rmtree(rubbish, ignore_errors=True)


def _sync(path: Path) -> None:
    """Flush to the disk, so that a power cut leaves no version with empty files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def folders(root: Path) -> list[Path]:
    """Return the folders in `root`, without hidden ones; none where it is no folder or cannot be read."""
    try:
        return [path for path in root.iterdir() if not path.name.startswith(".") and path.is_dir()]
    except OSError:
        return []


def fingerprint(folder: Path) -> str:
    """Return what changes when the model's files are replaced, or the program that reads them."""
    found = [__version__]
    for path in (folder / name for name in NEEDED_FILES):
        with suppress(OSError):
            found.append(f"{path.stat().st_size}-{path.stat().st_mtime_ns}")
    return " ".join(found)


def number_of(version: str) -> int:
    """Return 12 for "boxstrap-7-0012"; 0 for a name without a number."""
    digits = version.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0
