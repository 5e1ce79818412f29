"""Training runs: what was asked for, how far it came, and how it ended.

    <root>/<run>/run.json          the record
    <root>/<run>/manifest.jsonl    the pictures and labels it learns from, frozen when it starts
    <root>/<run>/pictures/         those pictures, by task, while it lasts
    <root>/<run>/model/            checkpoint and model, as wsol_core.training and wsol_core.localization write them

Live progress travels through Redis; what is here outlives it.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from backend.errors import NotFoundError
from backend.storage.files import Damage, Moment, checked, is_safe, locked, read_record, safe_name, write_json
from backend.storage.version_facts import GateDecision

PICTURES, MODEL, MANIFEST = ("pictures", "masks"), "model", "manifest.jsonl"


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether the state is final."""
        return self in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Run:
    """A training run. Times are seconds since 1970; `reason` says in a sentence why it failed or was cancelled.

    `starts` counts its processes that died in a row without getting further, and the present one, which has `begun`
    later than `started` where it goes on from a checkpoint. `trigger` says why it was started: "20 new corrections".
    `gate` says how its version was compared with the live one, once it was. `warnings` are sentences of the training,
    such as that it is too short.
    """

    id: str
    project_id: str
    config: dict[str, Any] = field(default_factory=dict)
    state: RunState = RunState.QUEUED
    created: Moment = 0.0
    started: Moment | None = None
    ended: Moment | None = None
    starts: int = 0
    begun: Moment | None = None
    pictures: int | None = None
    version: str | None = None
    reason: str = ""
    trigger: str = ""
    gate: GateDecision | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_first_look(self) -> bool:
        """Whether it trains briefly, so that boxes come early, and the rest of the training is to follow."""
        return bool(self.config.get("brief"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Run:
        """Read what run.json holds; keys of other versions of Boxstrap are left out. ValueError names a wrong value."""
        gate, warnings = GateDecision.from_dict(values.get("gate")), tuple(values.get("warnings") or ())
        return checked(cls, {**values, "gate": gate, "warnings": warnings})


class RunStore:
    """All runs below one folder, which several machines may share. Lists leave out those whose record is damaged."""

    def __init__(self, root: Path, damage: Damage | None = None) -> None:
        self.root, self._damage = root, damage or Damage()

    def create(self, project_id: str, config: dict[str, Any], trigger: str = "") -> Run:
        """Create a queued run."""
        now = time.time()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
        name = f"{safe_name(project_id, 'project')}-{stamp}-{secrets.token_hex(3)}"
        run = Run(name, project_id, config, created=now, trigger=trigger)
        self._write(run)
        return run

    def read(self, run_id: str) -> Run:
        """Return the run. Raises: NotFoundError if there is none, DamagedFileError if its record cannot be read."""
        return known_run(run_id, read_record(self._record(run_id), lambda values: run_of(run_id, values)))

    def find(self, run_id: str) -> Run | None:
        """Return the run; None if there is none, or none whose record can be read."""
        return self._damage.read(self._record(run_id), lambda values: run_of(run_id, values))

    def update(self, run_id: str, **changes: Any) -> Run:
        """Change and return the run; one that has ended stays as it ended."""
        return self._change(run_id, lambda run: run if run.state.has_ended else replace(run, **changes))

    def of_project(self, project_id: str) -> list[Run]:
        """Return the project's runs, newest first."""
        names = self.names(f"{project_id}-") if is_safe(project_id) else []
        return [run for run in self._read_all(names) if run.project_id == project_id]

    def all(self) -> list[Run]:
        """Return all runs, newest first."""
        return self._read_all(self.names())

    def names(self, begin: str = "") -> list[str]:
        """Return the names of all runs, or of those that start with `begin`, without reading one; in no order."""
        found = self.root.glob(f"{begin}*/run.json") if self.root.is_dir() else ()
        return [path.parent.name for path in found if is_safe(path.parent.name)]

    def folder(self, run_id: str) -> Path:
        """Return the folder of the run's files."""
        return self.root / safe_name(run_id, "run")

    def clear(self, run_id: str, everything: bool = True) -> None:
        """Remove the pictures of an ended run, and with `everything` checkpoint and model; its record stays."""
        for name in (*PICTURES, MODEL) if everything else PICTURES:
            shutil.rmtree(self.folder(run_id) / name, ignore_errors=True)

    @contextmanager
    def working_on(self, run_id: str) -> Iterator[None]:
        """Have the run's files here while it is trained, and wherever it may go on once this machine is gone."""
        yield

    def _read_all(self, names: Iterable[str]) -> list[Run]:
        runs = [run for name in names if (run := self.find(name)) is not None]
        return sorted(runs, key=lambda run: -run.created)

    def _change(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        self.read(run_id)  # no folder for a run that never was
        with locked(self.folder(run_id) / ".record-lock"):
            before = self.read(run_id)
            if (after := change(before)) != before:
                self._write(after)
        return after

    def _write(self, run: Run) -> None:
        write_json(self._record(run.id), asdict(run))

    def _record(self, run_id: str) -> Path:
        return self.folder(run_id) / "run.json"


def run_of(run_id: str, values: Mapping[str, Any]) -> Run:
    """Return what the record of a run holds. Raises: ValueError where that is another run's, or has no meaning."""
    run = Run.from_dict(values)
    if run.id != run_id:
        raise ValueError(f"it is run {run.id!r}'s")
    return run


def known_run(run_id: str, run: Run | None) -> Run:
    """Return the run. Raises: NotFoundError where there is none."""
    if run is None:
        raise NotFoundError(f"There is no run {run_id!r}; `boxstrap jobs list` shows the runs there are.")
    return run
