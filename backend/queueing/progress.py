"""What running jobs say of themselves, the newest webhook event of each project, and the newest clicks in each task.

Redis keeps all of it for a day.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import redis

from backend.queueing.connection import redis_errors
from backend.storage.files import checked

KEPT_S = 86400

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PreannotationProgress:
    """How far a version's predictions are written: tasks seen, those that got a new one, whether it has ended.

    `tasks` is how many the project has, 0 where nobody knows; `seconds_left` is at the speed of the last chunk.
    `left_out` and `empty` are those of PreannotationChunk.
    """

    version: str
    seen: int = 0
    done: int = 0
    ended: bool = False
    tasks: int = 0
    seconds_left: float = 0.0
    left_out: Mapping[str, int] = field(default_factory=dict)
    empty: int = 0


class ProgressStore:
    """How far trainings and pre-annotations are. Every method raises QueueError where Redis cannot be reached."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection

    def report_run(self, run_id: str, progress: Mapping[str, Any]) -> None:
        """What `of_run` returns from now on."""
        _write(self._connection, run_id, progress)

    def of_run(self, run_id: str) -> Json | None:
        """What the training of a run reported last."""
        return _read(self._connection, run_id)

    def report_preannotation(self, project_id: str, progress: PreannotationProgress) -> None:
        """What `of_preannotation` returns from now on."""
        _write(self._connection, f"bulk-{project_id}", asdict(progress))

    def of_preannotation(self, project_id: str) -> PreannotationProgress | None:
        """How far the project's newest pre-annotation is."""
        values = _read(self._connection, f"bulk-{project_id}")
        if values is None or not {"version", "seen", "done", "ended"} <= values.keys():
            return None
        known = {part.name for part in fields(PreannotationProgress)}
        try:
            return checked(PreannotationProgress, {name: value for name, value in values.items() if name in known})
        except ValueError:  # as in `_read`
            return None


class EventStore:
    """The newest webhook event of each project. Every method raises QueueError where Redis cannot be reached."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection

    def record(self, project_id: str, action: str) -> None:
        """Keeps Label Studio's name of the event and the time, which is now."""
        _write(self._connection, f"event-{project_id}", {"action": action, "at": time.time()})

    def last(self, project_id: str) -> Json | None:
        """`action` of the newest event and when it came (`at`, seconds since 1970); None a day after it."""
        return _read(self._connection, f"event-{project_id}")


class PromptStore:
    """What people have drawn for the object that they point at. Raises QueueError where Redis cannot be reached."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection

    def record(self, project_id: str, task: object, regions: Sequence[Mapping[str, Any]], person: str = "") -> None:
        """Keep the regions that a person drew in a task, and the time, which is now. Args: person: "": nobody knows."""
        drawn = {"regions": list(map(dict, regions)), "at": time.time()}
        _write(self._connection, _prompt_key(project_id, task, person), drawn)

    def last(self, project_id: str, task: object, person: str = "") -> tuple[list[Json], float]:
        """Return what was recorded last, and how many seconds ago; nothing where nobody knows."""
        found = _read(self._connection, _prompt_key(project_id, task, person)) or {}
        regions, at = found.get("regions"), found.get("at")
        if not isinstance(regions, list) or not isinstance(at, int | float):
            return [], 0.0
        return [each for each in regions if isinstance(each, dict)], time.time() - at


def _prompt_key(project_id: str, task: object, person: str) -> str:
    """Return a name that does not say who it is, which may be an address."""
    who = "-" + hashlib.blake2b(person.encode(errors="replace"), digest_size=8).hexdigest() if person else ""
    return f"prompt-{project_id}-{task}{who}"


def _write(connection: redis.Redis, name: str, values: Mapping[str, Any]) -> None:
    with redis_errors():
        connection.set(f"boxstrap:progress:{name}", json.dumps(values), ex=KEPT_S)


def _read(connection: redis.Redis, name: str) -> Json | None:
    with redis_errors():
        text = connection.get(f"boxstrap:progress:{name}")
    try:
        values = json.loads(text or "null")
    except (ValueError, RecursionError):  # nobody of ours wrote that, and nothing depends on it
        return None
    return values if isinstance(values, dict) else None
