"""The arguments of jobs that are more than an id: records here, JSON objects in Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """Tasks that a worker predicts with `version`.

    `tasks` are as Label Studio sends them; `files` has the pictures that are on disk already, by the index of their
    task; `context` is that of an interactive call.
    """

    project_id: str
    version: str
    label_config: str
    tasks: Sequence[Mapping[str, Any]]
    files: Mapping[int, Path] = field(default_factory=dict)
    context: Mapping[str, Any] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PredictionRequest:
        """Read what `to_dict` gave."""
        return cls(
            project_id=values["project_id"],
            version=values["version"],
            label_config=values["label_config"],
            tasks=values["tasks"],
            files={int(index): Path(path) for index, path in values.get("files", {}).items()},
            context=values.get("context"),
        )

    def to_dict(self) -> Json:
        """Return JSON values."""
        return {
            "project_id": self.project_id,
            "version": self.version,
            "label_config": self.label_config,
            "tasks": self.tasks,
            "files": {str(index): str(path) for index, path in self.files.items()},
            "context": self.context,
        }


@dataclass(frozen=True, slots=True)
class PreannotationChunk:
    """The tasks above `after_id`, to be predicted with `version`; `seen` and `done` count those of the chunks before.

    `done` tasks got a new prediction; `left_out` objects of each class are not shown in them, since they would cost
    people more time than they save, and `empty` tasks show nothing for that reason. `drafts`: whether annotations that
    only name classes get it as a draft as well; None leaves that to the settings. `anew`: those of this version, too,
    are predicted once more.
    """

    project_id: str
    version: str
    after_id: int = 0
    seen: int = 0
    done: int = 0
    drafts: bool | None = None
    anew: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)
    empty: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PreannotationChunk:
        """Read what `to_dict` gave, in this version or an older one."""
        return cls(**values)

    def to_dict(self) -> Json:
        """Return JSON values; `anew` only where it is asked for, since older versions do not know it."""
        return {name: value for name, value in asdict(self).items() if name != "anew" or value}
