"""A project's config, backend, webhook, picture and labels: each failure has its sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backend.doctor import project, server
from backend.doctor.checks import CheckList
from backend.doctor.project import ProjectView
from backend.settings import Settings
from backend.wiring import build
from tests.backend.doctor.expectations import says
from tests.backend.support.fake_label_studio import (
    BACKEND,
    BACKEND_URL,
    CONFIG,
    PROJECT,
    WEBHOOK,
    FakeLabelStudio,
    labelled,
)


def view(settings: Settings, **values: Any) -> ProjectView:
    """Project 7, with `values` in place of the healthy ones."""
    projects = build(settings).services.projects
    return ProjectView("7", settings, server.client(settings), projects, "boxstrap-7-untrained", {**PROJECT, **values})


def test_a_labeling_config_needs_something_for_regions_and_for_classes(settings: Settings) -> None:
    says(project.labeling_config(view(settings)), "ok", "rectanglelabels of fish, bird; classes from Choices")
    only_choices = CONFIG.replace("RectangleLabels", "Labels")
    says(
        project.labeling_config(view(settings, label_config=only_choices)), "failed", "only classes", "Add a Rectangle"
    )
    no_classes = CONFIG.replace("Choices", "Rating")
    says(project.labeling_config(view(settings, label_config=no_classes)), "warning", "no Choices tag", "Add Choices")
    shown = no_classes.replace("<View>", '<View><Header value="$kind"/>')
    says(project.labeling_config(view(settings, label_config=shown)), "ok", "classes from data.kind")
    nothing = CheckList().check("config", lambda: project.labeling_config(view(settings, label_config="<View/>")))
    says(nothing, "failed", "has no Image tag")


def test_a_backend_that_is_missing_or_foreign_is_to_be_connected(settings: Settings, studio: FakeLabelStudio) -> None:
    says(project.backend(view(settings), BACKEND_URL), "ok", "is Connected and serves boxstrap-7-untrained")
    studio.answers["GET /api/ml"] = (200, [])
    says(project.backend(view(settings), None), "failed", "no ML backend is connected", "ML_BLOCK_LOCAL_IP=false")
    foreign = {**BACKEND, "url": "http://sam", "model_version": "sam-2"}
    studio.answers["GET /api/ml"] = (200, [foreign])
    says(
        project.backend(view(settings), None),
        "failed",
        "only other ML backends are connected: http://sam",
        "Connect it",
    )
    says(project.backend(view(settings), BACKEND_URL), "failed", "only other ML backends")


@pytest.mark.parametrize(
    ("changes", "found", "advice"),
    [
        (
            {"state": "ER", "error_message": "URL resolves to a reserved network address (block: 127.0.0.0/8)"},
            "it is a reserved network address",
            "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false",
        ),
        ({"state": "DI", "readable_state": "Disconnected"}, "is Disconnected", "`boxstrap serve` runs"),
        ({"state": "ER", "readable_state": "Error", "error_message": "503"}, "is Error: 503", "`boxstrap serve` runs"),
    ],
)
def test_a_backend_that_label_studio_cannot_use_has_its_reason(
    settings: Settings, studio: FakeLabelStudio, changes: dict[str, str], found: str, advice: str
) -> None:
    studio.answers["GET /api/ml"] = (200, [{**BACKEND, "model_version": None, **changes}])
    says(project.backend(view(settings), None), "failed", found, advice)


def test_a_backend_with_another_version_is_another_boxstrap(settings: Settings, studio: FakeLabelStudio) -> None:
    studio.answers["GET /api/ml"] = (200, [{**BACKEND, "model_version": "boxstrap-7-0003"}])
    says(
        project.backend(view(settings), None), "warning", "serves boxstrap-7-0003, while", "BOXSTRAP_HOME and MODEL_DIR"
    )


def test_a_project_that_shows_no_predictions_says_where_to_switch_them_on(settings: Settings) -> None:
    says(project.shown_predictions(view(settings)), "ok", "by Boxstrap")
    says(project.shown_predictions(view(settings, model_version="")), "warning", "shows no predictions", "prelabel")
    off = view(settings, show_collab_predictions=False)
    says(project.shown_predictions(off), "warning", "asks for no predictions", "prelabeling")


@pytest.mark.parametrize(
    ("hooks", "state", "found", "advice"),
    [
        ([WEBHOOK], "ok", "all events go to", ""),
        ([], "failed", "there is no webhook", "SSRF_PROTECTION_ENABLED=false, then remove the backend"),
        ([{**WEBHOOK, "url": "http://other/webhook"}], "failed", "there is no webhook", "connect it again"),
        ([{**WEBHOOK, "is_active": False}], "failed", "switched off", "Switch it on"),
        ([{**WEBHOOK, "send_payload": False}], "failed", "no payload", "Send payload"),
        ([{**WEBHOOK, "send_for_all_actions": False}], "warning", "some events only", "all actions"),
    ],
)
def test_a_webhook_has_to_be_there_and_to_send_everything_to_us(
    settings: Settings, studio: FakeLabelStudio, hooks: list[Any], state: str, found: str, advice: str
) -> None:
    studio.answers["GET /api/webhooks/"] = (200, hooks)
    says(project.webhook(view(settings), None), state, found, advice)


def test_a_webhook_without_our_password_is_refused_by_us(settings: Settings, studio: FakeLabelStudio) -> None:
    guarded = replace(settings, basic_auth_user="me", basic_auth_pass="s3cret")
    says(project.webhook(view(guarded), None), "failed", "sends no password", "boxstrap worker predict")
    studio.answers["GET /api/webhooks/"] = (200, [{**WEBHOOK, "headers": {"Authorization": "Basic ..."}}])
    says(project.webhook(view(guarded), None), "ok", "all events")


def test_the_round_trip_sends_the_title_that_is_there_and_waits_for_the_event(
    settings: Settings, studio: FakeLabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = view(settings)
    studio.when_patched = lambda: seen.projects.record_event("7", "PROJECT_UPDATED")
    says(project.round_trip(seen), "ok", "an event came within 0.")
    assert studio.patches == [{"title": "Animals"}]
    studio.when_patched = lambda: seen.projects.record_event("8", "PROJECT_UPDATED")
    monkeypatch.setattr(project, "ROUND_TRIP_S", 0.05)
    says(project.round_trip(seen), "failed", "did not come", "SSRF_PROTECTION_ENABLED=false")


def test_the_first_picture_is_fetched_past_the_cache(settings: Settings, studio: FakeLabelStudio) -> None:
    says(project.picture(view(settings)), "ok", "task 1: 0 kB")
    assert not (settings.home / "pictures").exists()
    task = {**labelled(3, "fish"), "data": {"image": "/data/upload/7/none.png"}}
    studio.answers |= {"GET /api/tasks/": (200, {"tasks": [task]})}
    studio.answers["/data/upload/7/none.png"] = (404, b"")
    says(project.picture(view(settings)), "failed", "task 3: ")
    studio.answers["GET /api/tasks/"] = (200, {"tasks": []})
    says(project.picture(view(settings)), "warning", "no tasks", "Import pictures")


def test_pictures_are_counted_by_class_and_few_are_a_warning(settings: Settings, studio: FakeLabelStudio) -> None:
    says(project.labels(view(settings)), "warning", "fish 1, bird 0 of 1 tasks", "5 pictures or more of fish, bird")
    tasks = [labelled(number, ("fish", "bird")[number % 2]) for number in range(1, 21)]
    studio.answers["GET /api/tasks/"] = (200, {"tasks": tasks})
    says(project.labels(view(settings)), "ok", "fish 10, bird 10 of 20 tasks")
    studio.answers["GET /api/tasks/"] = (200, {"tasks": [{"id": 1, "data": {}, "annotations": []}]})
    says(project.labels(view(settings)), "warning", "no task has a class yet", "Choose classes")
