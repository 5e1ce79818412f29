"""All checks in their order. What cannot be looked at, since something else fails, is named as not checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from backend.doctor import machine, project, server
from backend.doctor.checks import CheckList, Finding, State, ok
from backend.doctor.project import ProjectView
from backend.queueing.connection import password_in
from backend.queueing.queue import BULK, PREDICT, TRAIN
from backend.settings import Settings
from backend.wiring import Parts

TORCH_S, PROJECT_S, MANY_TASKS_S = 90.0, 45.0, 60.0
PROJECT_CHECKS = ("labeling config", "backend", "prelabeling", "webhook", "webhook round trip", "picture", "labels")


@dataclass(frozen=True, slots=True)
class Questions:
    """What the user asks. `project` None: every project that has connected; `url` None: our usual address."""

    project: str | None = None
    url: str | None = None


def examine(parts: Parts, questions: Questions, checks: CheckList) -> None:
    """Fills `checks`."""
    settings = parts.settings
    _machine(settings, checks)
    checks.check("own address", lambda: server.own_address(settings, questions.url))
    reached = checks.check("Label Studio", lambda: server.address(settings))
    if reached.state == State.FAILED and settings.label_studio_api_key:
        checks.skip("access token", "Label Studio does not answer")
        may_ask = False
    else:
        may_ask = checks.check("access token", lambda: server.token(settings)).state != State.FAILED
    numbers = [questions.project] if questions.project else [known.id for known in parts.services.projects.all()]
    if not numbers:
        checks.skip("projects", "none has connected to this Boxstrap; name one with --project")
    for number in numbers:
        if may_ask and reached.state != State.FAILED:
            _project(parts, number, questions.url, checks)
        else:
            checks.skip("project", "Label Studio cannot be asked", number)


def secrets_of(settings: Settings) -> list[str]:
    """What no row may show."""
    redis_password = password_in(settings.redis_url) if settings.redis_url else None
    return [secret for secret in (settings.label_studio_api_key, settings.basic_auth_pass, redis_password) if secret]


def _machine(settings: Settings, checks: CheckList) -> None:
    checks.check("settings", lambda: machine.settings_read(settings))
    redis = checks.check("Redis", lambda: machine.redis_server(settings))
    for queue in (TRAIN, PREDICT, BULK):
        if redis.state == State.FAILED:
            checks.skip(f"workers for {queue}", "Redis does not answer")
        else:
            checks.check(f"workers for {queue}", partial(machine.workers, settings, queue))
    checks.check("device", lambda: machine.device(settings), limit_s=TORCH_S)
    checks.check("pretrained weights", lambda: machine.weights(settings), limit_s=TORCH_S)
    checks.check("model store", lambda: machine.model_store(settings))


def _project(parts: Parts, number: str, url: str | None, checks: CheckList) -> None:
    values: dict[str, Any] = {}

    def read() -> Finding:
        values.update(client.project(number))
        return ok(str(values.get("title") or "without a title"))

    client = server.client(parts.settings)
    if checks.check("project", read, number).state == State.FAILED:
        for name in PROJECT_CHECKS:
            checks.skip(name, "the project cannot be read", number)
        return
    version = parts.stores.models.label(number)
    view = ProjectView(number, parts.settings, client, parts.services.projects, version, values)
    looks: tuple[Callable[[], Finding], ...] = (
        lambda: project.labeling_config(view),
        lambda: project.backend(view, url),
        lambda: project.shown_predictions(view),
        lambda: project.webhook(view, url),
        lambda: project.round_trip(view),
        lambda: project.picture(view),
        lambda: project.labels(view),
    )
    found: dict[str, Finding] = {}
    for name, look in zip(PROJECT_CHECKS, looks, strict=True):
        if name == "webhook round trip" and found["webhook"].state == State.FAILED:
            checks.skip(name, "the webhook fails", number)
            continue
        found[name] = checks.check(name, look, number, MANY_TASKS_S if name == "labels" else PROJECT_S)
