"""What a check finds, and how checks are run: each for itself, and for a limited time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from backend.errors import BackendError
from wsol_core.errors import WsolError

LIMIT_S = 20.0


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # it works, and could work better
    FAILED = "failed"
    NOT_CHECKED = "not checked"  # since something else fails


@dataclass(frozen=True, slots=True)
class Finding:
    """`found` is what is so; `advice` is one sentence on what to do, where there is something to do."""

    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A check's name and what it found. `project` is Label Studio's number, "" for what concerns all projects."""

    name: str
    project: str
    finding: Finding


def ok(found: str) -> Finding:
    """Nothing to do."""
    return Finding(State.OK, found)


def warning(found: str, advice: str) -> Finding:
    """It works, and could work better."""
    return Finding(State.WARNING, found, advice)


def failed(found: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(State.FAILED, found, advice)


@dataclass(slots=True)
class CheckList:
    """The rows so far. `secrets` are struck out of everything that is found."""

    secrets: Sequence[str] = ()
    rows: list[Row] = field(default_factory=list)

    def check(self, name: str, look: Callable[[], Finding], project: str = "", limit_s: float = LIMIT_S) -> Finding:
        """Runs `look` in a thread that is left behind when its time is up."""
        found: list[Finding] = []
        thread = threading.Thread(target=lambda: found.append(_look(look)), name=f"check {name}", daemon=True)
        thread.start()
        thread.join(limit_s)
        late = failed(f"no answer within {limit_s:g} s", "See whether the machine or the network is overloaded.")
        return self._add(Row(name, project, found[0] if found else late))

    def skip(self, name: str, because: str, project: str = "") -> None:
        """Notes that something could not be looked at."""
        self._add(Row(name, project, Finding(State.NOT_CHECKED, because)))

    @property
    def has_failed(self) -> bool:
        """Whether anything does not work."""
        return any(row.finding.state == State.FAILED for row in self.rows)

    def _add(self, row: Row) -> Finding:
        finding = row.finding
        for secret in filter(None, self.secrets):
            found, advice = finding.found.replace(secret, "***"), finding.advice.replace(secret, "***")
            finding = replace(finding, found=found, advice=advice)
        self.rows.append(replace(row, finding=finding))
        return finding


def _look(look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (BackendError, WsolError) as error:  # their messages say what to do
        return Finding(State.FAILED, str(error))
    except Exception as error:  # a check with a fault must not hide the others
        text = " ".join(str(error).split())[:300] or "no message"
        return failed(f"{type(error).__name__}: {text}", "This is a fault of the program; please report it.")
