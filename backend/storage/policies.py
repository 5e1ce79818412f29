"""Keep each project's policy: when it is trained, and how new versions go live; the settings have the defaults.

<root>/<project>.json   what was chosen for the project
<root>/.default.json    the settings' cron expression, and when it was first seen
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from backend.errors import RequestError
from backend.schedules import cron_expression, quiet_hours
from backend.settings import GateMode, Settings
from backend.storage.files import (
    Damage,
    Moment,
    checked,
    json_text,
    parse_record,
    read_text,
    safe_name,
    write_json,
)
from backend.storage.shared_folder import LocalFolder, SharedFolder
from wsol_core.errors import ConfigError


class Sampling(StrEnum):
    """The order of tasks in Label Studio's label stream; AS_IT_IS: the project's own stays."""

    AS_IT_IS = ""
    UNCERTAINTY = "uncertainty"
    SEQUENTIAL = "sequential"
    UNIFORM = "uniform"


@dataclass(frozen=True, slots=True)
class Policy:
    """When a project is trained without being told, and what becomes of the version. ConfigError names a wrong value.

    every: new corrections that start a training; 0: they start none. cron: five fields in this machine's time; "":
    none. quiet: "HH:MM-HH:MM", hours in which nothing starts by itself. min_per_class: pictures that every class needs
    before the first training. gate: how a version goes live: "auto" if it is not worse, "suggest" and "manual" when a
    person says so. sampling: the order of tasks in Label Studio; "": left as it is. score_threshold: regions that score
    less are left out; None: MODEL_SCORE_THRESHOLD's. renames: classes by the names that they had before: old name ->
    new name. since: when `cron` was chosen, in seconds since 1970.
    """

    every: int = 0
    cron: str = ""
    quiet: str = ""
    min_per_class: int = 5
    gate: GateMode = GateMode.AUTO
    sampling: Sampling = Sampling.AS_IT_IS
    score_threshold: float | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    since: Moment = 0.0

    def __post_init__(self) -> None:
        for name, least in (("every", 0), ("min_per_class", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} is {value!r}; it has to be a whole number, {least} or more, such as 20.")
        for name, choices in (("gate", GateMode), ("sampling", Sampling)):
            value = getattr(self, name)
            if value not in list(choices):
                named = ", ".join(repr(choice.value) for choice in choices)
                raise ConfigError(f"{name} is {value!r}; choose one of {named}.")
            object.__setattr__(self, name, choices(value))
        share: object = self.score_threshold
        if share is not None and (not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1):
            raise ConfigError(f"score_threshold is {share!r}; it has to be a number from 0 to 1, such as 0.4, or none.")
        renames: object = self.renames
        pairs = renames.items() if isinstance(renames, Mapping) else [("", "")]
        if not all(isinstance(name, str) and name.strip() for pair in pairs for name in pair):
            raise ConfigError(f"renames is {renames!r}; it has to name classes, old name and new name.")
        object.__setattr__(self, "cron", cron_expression("cron", str(self.cron)))
        object.__setattr__(self, "quiet", quiet_hours("quiet", str(self.quiet)))

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """Return the policy of projects for which nothing was chosen."""
        return cls(
            every=settings.train_every,
            cron=settings.train_cron,
            quiet=settings.train_quiet_hours,
            min_per_class=settings.train_min_per_class,
            gate=GateMode(settings.gate),
        )


# Where the file is damaged: nothing starts, or goes live, that somebody may have forbidden.
NOTHING_BY_ITSELF = Policy(gate=GateMode.MANUAL)


class PolicyStore:
    """One small file a project below one folder, with what was chosen for it and nothing else."""

    def __init__(
        self, root: Path, default: Policy, damage: Damage | None = None, shared: SharedFolder | None = None
    ) -> None:
        """Args: shared: what several machines share, whose copies are then below `root`."""
        self.root, self._default, self._damage, self._folder = (
            root,
            default,
            damage or Damage(),
            shared or LocalFolder(root),
        )

    def find(self, project_id: str) -> Policy:
        """Return the project's policy; NOTHING_BY_ITSELF where its file is damaged, which is noted."""
        path = self._path(project_id)
        self._folder.pull(path.name)
        return self._damage.tolerate(path, lambda: self._parse(path, read_text(path))[0]) or NOTHING_BY_ITSELF

    def change(self, project_id: str, **changes: Any) -> Policy:
        """Change and return the policy; nothing is changed where that raises.

        Raises: RequestError if a value is not allowed, DamagedFileError if the file is damaged.
        """
        path = self._path(project_id)

        def changed(text: str | None) -> str:
            before, chosen = self._parse(path, text)
            try:
                after = replace(before, **changes)
            except ConfigError as error:
                raise RequestError(str(error)) from error
            kept = {**chosen, **{name: getattr(after, name) for name in changes}}
            if "cron" in changes:  # the times before now are no reason to start
                kept["since"] = before.since if after.cron == before.cron else time.time()
            return json_text(kept)

        self._folder.change(path.name, changed)
        return self.find(project_id)

    def note_default(self) -> None:
        """Keep since when the settings have their cron expression; times before that start nothing."""
        cron = self._default.cron
        if cron and self._noted()[0] != cron:
            write_json(self.root / ".default.json", {"cron": cron, "since": time.time()})

    def _parse(self, path: Path, text: str | None) -> tuple[Policy, dict[str, Any]]:
        """Return the policy that a file's text says, None where there is none, and what was chosen of it."""
        known = {part.name for part in fields(Policy)}

        def parse(values: dict[str, Any]) -> tuple[Policy, dict[str, Any]]:
            chosen = {name: value for name, value in values.items() if name in known}
            default = self._default
            if "cron" not in chosen:
                default = replace(default, since=self._default_since())
            return checked(Policy, {**asdict(default), **chosen}), chosen

        return parse({}) if text is None else parse_record(path, text, parse)

    def _default_since(self) -> float:
        cron, since = self._noted()
        return since if cron == self._default.cron else time.time()

    def _noted(self) -> tuple[str, float]:
        """Return the settings' cron expression when it was last looked at, and since when it is that."""
        if not self._default.cron:
            return "", 0.0
        path = self.root / ".default.json"
        noted = self._damage.read(path, lambda values: (str(values["cron"]), float(values["since"])))
        return noted or ("", 0.0)

    def _path(self, project_id: str) -> Path:
        return self.root / f"{safe_name(project_id, 'project')}.json"
