"""Label Studio's address and token, and our own address: each failure has its sentence."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from backend.doctor import server
from backend.settings import Settings
from tests.backend.doctor.expectations import LEGACY, NOWHERE, says
from tests.backend.support.fake_label_studio import FakeLabelStudio, refusal


def jwt(kind: str) -> str:
    claims = {"token_type": kind, "exp": 8_000_000_000, "user_id": "1"}
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".sig"


def test_a_label_studio_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    says(server.address(replace(settings, label_studio_url=None)), "failed", "LABEL_STUDIO_URL is not set", "Set it")
    gone = replace(settings, label_studio_url=NOWHERE)
    says(server.address(gone, tmp_path / "none"), "failed", f"{NOWHERE} does not answer", "Start Label Studio")
    (tmp_path / "mark").touch()
    says(
        server.address(gone, tmp_path / "mark"),
        "failed",
        "does not answer",
        "the container itself: set LABEL_STUDIO_URL",
    )


def test_something_else_at_the_address_is_no_label_studio(
    settings: Settings, studio: FakeLabelStudio, tmp_path: Path
) -> None:
    says(server.address(settings, tmp_path / "none"), "ok", "Label Studio 1.23.2")
    for answer in ((404, b"not here"), (200, b"<html>"), (200, ["list"])):
        studio.answers["GET /api/version"] = answer
        says(server.address(settings, tmp_path / "none"), "failed", "it is no Label Studio", "without /projects")


def test_localhost_in_a_container_is_fine_where_it_answers(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    says(server.address(settings, tmp_path / "mark"), "ok", "Label Studio 1.23.2 at")


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://localhost:8089", "http://host.docker.internal:8089"),
        ("https://127.0.0.1", "https://host.docker.internal"),
        ("http://[::1]:8080/studio", "http://host.docker.internal:8080/studio"),
    ],
)
def test_a_container_is_told_the_address_with_the_port_that_it_was_given(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, seen: str
) -> None:
    (tmp_path / "mark").touch()

    def nobody(address: str, **_: object) -> None:
        raise httpx.ConnectError(f"nobody is at {address}")

    monkeypatch.setattr(httpx, "get", nobody)
    advice = server.address(replace(settings, label_studio_url=url), tmp_path / "mark").advice
    assert f"set LABEL_STUDIO_URL to {seen}, or to the name" in advice


def test_each_kind_of_token_is_known_by_its_form() -> None:
    assert server.token_kind(LEGACY) == "legacy"
    assert server.token_kind("a.b.c") == "legacy"
    assert server.token_kind(jwt("refresh")) == "personal"
    assert server.token_kind(jwt("access")) is None


def test_a_token_that_works_says_whose_it_is(settings: Settings, studio: FakeLabelStudio) -> None:
    says(server.token(settings), "ok", "legacy token of a@b.co")


def test_a_legacy_token_that_is_switched_off_has_its_own_advice(settings: Settings, studio: FakeLabelStudio) -> None:
    detail = "Authentication token no longer valid: legacy token authentication has been disabled for this organization"
    studio.answers["GET /api/current-user/whoami"] = refusal(401, detail)
    finding = server.token(settings)
    says(finding, "failed", "legacy tokens switched off", "Make a personal access token")
    assert "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true" in finding.advice and LEGACY not in str(finding)


def test_a_token_that_is_wrong_missing_or_of_minutes_is_named(settings: Settings, studio: FakeLabelStudio) -> None:
    studio.answers["GET /api/current-user/whoami"] = refusal(401, "Invalid token.")
    says(server.token(settings), "failed", "refuses the legacy token", "Copy a personal access token again")
    without = replace(settings, label_studio_api_key=None)
    says(server.token(without), "failed", "LABEL_STUDIO_API_KEY is not set", "Account & Settings")
    short = replace(settings, label_studio_api_key=jwt("access"))
    says(server.token(short), "failed", "an access token of five minutes", "personal access token")


def test_our_own_address_fails_only_where_the_user_named_it(settings: Settings, studio: FakeLabelStudio) -> None:
    says(server.own_address(settings, NOWHERE), "failed", "does not answer", "boxstrap serve")
    says(server.own_address(replace(settings, port=9), None), "warning", "http://127.0.0.1:9 does not answer")
    says(server.own_address(settings, studio.url), "failed", "answers 404, and not as Boxstrap does")
    studio.answers["GET /health"] = (200, {"status": "UP", "model_class": "Boxstrap"})
    says(server.own_address(settings, studio.url), "ok", f"Boxstrap answers at {studio.url}")
