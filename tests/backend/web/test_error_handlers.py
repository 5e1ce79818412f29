"""Every error is {"error": {"code", "message"}}, whatever went wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from backend.errors import RegistryError
from backend.web.error_handlers import add_error_handlers
from tests.backend.web.serving import Site, code_of
from wsol_core.errors import StorageError


def test_an_unknown_address_is_json(site: Site) -> None:
    for path in ("/nowhere", "/api/", "/setup/", "/docs", "/redoc", "/predict/7"):
        answer = site.client.get(path)
        assert (answer.status_code, code_of(answer)) == (404, "not_found")


def test_a_wrong_method_is_json_and_names_the_right_one(site: Site) -> None:
    answer = site.client.get("/predict")
    assert (answer.status_code, code_of(answer), answer.headers["allow"]) == (405, "no_such_method", "POST")
    assert site.post("/static/dashboard.js", {}).status_code == 405


@pytest.mark.parametrize(
    "body", [b"{", b"", b"\xff\xfe", b"{'a': 1}", b"[" * 100_000, b"1" * 5000, b'{"project": 7} x']
)
def test_broken_json_is_answered_in_json(site: Site, body: bytes) -> None:
    answer = site.client.post("/setup", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert code_of(answer) == "bad_request"


def test_a_message_names_the_field(site: Site) -> None:
    answer = site.post("/setup", {"schema": 5})
    assert answer.json()["error"]["message"] == "body.project: Field required"


def test_half_of_a_surrogate_pair_can_be_answered(site: Site) -> None:
    answer = site.client.post(
        "/setup", content=b'{"project": "\\ud800", "schema": ""}', headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, code_of(answer)) == (422, "bad_request")


def raising(error: Exception) -> Callable[[], Any]:
    def endpoint() -> None:
        raise error

    return endpoint


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RegistryError("it is live"), 409, "registry"),
        (StorageError("the disk is full"), 503, "no_storage"),
        (RuntimeError("secret of the program"), 500, "internal"),
    ],
)
async def test_exceptions_are_answered_by_their_class(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = FastAPI()
    app.add_api_route("/broken", raising(error))
    add_error_handlers(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/broken")
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert ("secret" in answer.text) is False
    assert [record.levelno for record in caplog.records if record.name == "backend.web.error_handlers"] == [
        logging.ERROR if code == "internal" else logging.WARNING if status >= 500 else logging.INFO
    ]


def test_a_log_line_stays_one_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        site.client.get("/api/runs/x%0A2026-01-01%20ERROR%20forged")
    assert [record.message for record in caplog.records if "forged" in record.message and "\n" in record.message] == []


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
