"""Every small file that the service keeps, and every way in which it can be broken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backend.storage.stores import Stores

STATES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: max(1, path.stat().st_size // 2)]),
    "not JSON": lambda path: path.write_text("<html>It works!</html>"),
    "no object": lambda path: path.write_text("[1, 2]"),
    "of wrong types": lambda path: path.write_text(
        '{"id": {}, "state": 7, "created": "soon", "config": [], "label_config": 5, "every": "many", "cron": [], '
        '"since": {}, "run": {}, "classes": 9, "metrics": "good", "gate": "yes", "warnings": 3, "reason": []}'
    ),
    "with absurd numbers": lambda path: path.write_text(
        '{"created": 1e999, "since": NaN, "every": -1, "starts": 1e30}'
    ),
    "with half a surrogate pair": lambda path: path.write_text(
        '{"title": "\\ud800", "reason": "\\udfff", "cron": "\\ud800"}'
    ),
    "nested a thousand deep": lambda path: path.write_text('{"config": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "not UTF-8": lambda path: path.write_bytes(b'{"id": "\xff\xfe"}'),
    "of a newer version": lambda path: path.write_text(
        '{"format": 9, "state": "dreaming", "gate": {"mode": "oracle"}}'
    ),
    "with wrong types inside": lambda path: path.write_text(
        '{"losses": {"ce": "low"}, "stage": 7, "labels": [{}], "part": [], "regions": 1, "pictures": [{"task": 1, '
        '"score": 0.5, "labels": [{}], "objects": 1}], "metrics": {"train_seconds": 1' + "0" * 400 + "}}"
    ),
    "a folder": lambda path: (path.unlink(), path.mkdir(), (path / "inside").touch()),
    "unreadable": lambda path: (path.unlink(), path.symlink_to(path.name)),  # root reads whatever is forbidden
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "of another project": lambda path: path.write_text(
        '{"id": "9", "project_id": "9", "label_config": "", "config": {}}'
    ),
    "huge": lambda path: os.truncate(path, 2**40),  # a hole
    "missing": lambda path: path.unlink(),
}


def small_files(stores: Stores, project: str) -> dict[str, Path]:
    """The small files of a project that has a run, a policy and two versions, and those that all share."""
    versions = stores.models.versions(project)
    models = stores.models.root / project
    run = stores.runs.folder(stores.runs.of_project(project)[0].id)
    return {
        "run.json": run / "run.json",
        "the lock of a run": run / ".record-lock",
        "the project": stores.projects.root / f"{project}.json",
        "the policy": stores.policies.root / f"{project}.json",
        "since when the default policy holds": stores.policies.root / ".default.json",
        "the lock of policies": stores.policies.root / ".lock",
        "CURRENT": models / "CURRENT",
        "RETIRED": models / "RETIRED",
        "the lock of versions": models / ".lock",
        "the live version.json": versions[-1].folder / "version.json",
        "an older version.json": versions[0].folder / "version.json",
        "the live model.json": versions[-1].folder / "model.json",
        "the live weights": versions[-1].folder / "model.safetensors",
        "the mark of a damaged version": versions[-1].folder / "DAMAGED",
        "the ledger": stores.feedback.path,
        "the live manifest": versions[-1].folder / "manifest.jsonl",
        "the losses of a run": run / "model" / "history.jsonl",
        "the gallery of the live version": stores.galleries.root / project / versions[-1].name / "index.json",
        "what is to be connected": stores.connections.root / f"{project}.json",
    }


def keep(stores: Stores) -> Path:
    """A copy of all that the stores hold, for `restore`."""
    home = stores.feedback.path.parent
    copy = home.with_name(home.name + "-kept")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("redis"))
    return copy


def restore(stores: Stores, copy: Path) -> None:
    """Everything as it was when `copy` was made; what the server writes at this very moment is removed again."""
    home = stores.feedback.path.parent
    for path in [path for path in home.iterdir() if path.name != "redis"]:
        for _ in range(100):
            with suppress(OSError):  # the server puts something into it or in its place
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            if not os.path.lexists(path):
                break
    shutil.copytree(copy, home, dirs_exist_ok=True)
