"""The JSON of requests, as Label Studio sends it; unknown keys are ignored, since every version adds some."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from backend.errors import RequestError

_PROJECT = re.compile(r"[0-9]{1,18}")
Json = dict[str, Any]


def project_number(text: object) -> str:
    """Label Studio's number of the project in "7.1795206333", "7" or 7; RequestError where there is none."""
    number = str(text).partition(".")[0]
    if not _PROJECT.fullmatch(number):
        raise RequestError(
            f"project is {str(text)[:40]!r}; it has to begin with the project's number, as in '7.17952'."
        )
    return number


class _Call(BaseModel):
    model_config = ConfigDict(extra="ignore")


class SetupCall(_Call):
    """POST /setup. The access token that comes along is not read: it opens the whole server to whoever has it."""

    project: str | int
    label_config: str = Field("", alias="schema")
    hostname: str | None = None


class PredictParams(_Call):
    """`context` is there in interactive calls only."""

    context: Json | None = None


class PredictCall(_Call):
    """POST /predict."""

    tasks: list[Json]
    project: str | int | None = None
    label_config: str | None = None
    params: PredictParams | None = None

    @property
    def project_id(self) -> str:
        """From the call, else from its first task."""
        known = self.project if self.project is not None else self.tasks[0].get("project") if self.tasks else None
        return project_number(known)


class EventProject(_Call):
    """The project of an event."""

    id: int
    label_config: str | None = None


class Event(_Call):
    """POST /webhook: a webhook's event, or the button "Start training"."""

    action: str
    project: EventProject | None = None

    @field_validator("action")
    @classmethod
    def _short(cls, value: str) -> str:
        return value[:100]


class TrainCall(_Call):
    """POST /train."""

    project: str | int


class JobCall(_Call):
    """POST /job_status."""

    job: str
