"""The JSON of requests, as Label Studio sends it; unknown keys are ignored, since every version adds some."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from backend.services.projects import project_number

Json = dict[str, Any]


def _without_lone_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can carry and no file can."""
    return text.encode("utf-8", "replace").decode()


Text = Annotated[str, AfterValidator(_without_lone_surrogates)]


class _Call(BaseModel):
    model_config = ConfigDict(extra="ignore")


class SetupCall(_Call):
    """POST /setup. The access token that comes along is not read: it opens the whole server to whoever has it."""

    project: Text | int
    label_config: Text = Field("", alias="schema")
    hostname: Text | None = None


class PredictParams(_Call):
    """`context` is there in interactive calls only."""

    context: Json | None = None


class PredictCall(_Call):
    """POST /predict."""

    tasks: list[Json]
    project: Text | int | None = None
    label_config: Text | None = None
    params: PredictParams | None = None

    @property
    def project_id(self) -> str:
        """Return the project of the call, else of its first task."""
        known = self.project if self.project is not None else self.tasks[0].get("project") if self.tasks else None
        return project_number(known)


class EventProject(_Call):
    """The project of an event."""

    id: Text | int
    title: Text | None = None
    label_config: Text | None = None


class Event(_Call):
    """POST /webhook: a webhook's event, or the button "Start training"."""

    action: Text
    project: EventProject | None = None

    @field_validator("action")
    @classmethod
    def _short(cls, value: str) -> str:
        return value[:100]


class TrainCall(_Call):
    """POST /train."""

    project: Text | int


class JobCall(_Call):
    """POST /job_status."""

    job: Text


class PolicyCall(BaseModel):
    """PATCH /api/projects/{project}/policy: what is to be changed. A misspelt name would change nothing in silence."""

    model_config = ConfigDict(extra="forbid", strict=True)

    every: int = 0
    cron: Text = ""
    quiet: Text = ""
    min_per_class: int = 1
    gate: Text = ""
    sampling: Text = ""
    score_threshold: float | None = None

    @property
    def changes(self) -> Json:
        """What the caller named; storage/policies.py says which values have a meaning."""
        return self.model_dump(exclude_unset=True)


class ActivateCall(_Call):
    """POST /api/projects/{project}/activate."""

    version: Text
