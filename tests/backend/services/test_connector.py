"""Imported projects are connected as soon as that is possible, with a fake Label Studio that is away first."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from backend.errors import LabelStudioError
from backend.labelstudio.project_client import ProjectClient
from backend.services.connector import Connector
from backend.services.own_address import own_address
from backend.settings import Settings
from backend.storage.stores import open_stores

SETTINGS = Settings(label_studio_url="http://label-studio.test", label_studio_api_key="token")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What connecting gives next: an error, or None."""
    planned: list[Any] = []

    def add_backend(_self: ProjectClient, _project: str, _url: str, _user: str | None, _password: str | None) -> None:
        if planned and (error := planned.pop(0)) is not None:
            raise error

    monkeypatch.setattr(ProjectClient, "add_backend", add_backend)
    monkeypatch.setattr(ProjectClient, "backends", lambda _self, _project: [])
    return planned


def test_a_project_is_connected_when_label_studio_has_come_and_then_no_more(
    tmp_path: Path, answers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    stores, connected = open_stores(Settings(home=tmp_path)), list[str]()
    stores.connections.want("7", "http://localhost:9090")
    connector = Connector(SETTINGS, stores, connected.append)
    answers[:] = [LabelStudioError("It is away."), LabelStudioError("It is away."), None]
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            connector.run_once()
    assert connected == ["7"]
    assert stores.connections.wanted() == {}
    assert [record.message for record in caplog.records] == [
        "project 7 is not connected yet, it is tried again: It is away."
    ]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://localhost:9090"),
        ("0.0.0.0", "http://localhost:9090"),
        ("10.1.2.3", "http://10.1.2.3:9090"),
    ],
)
def test_beside_label_studio_our_address_is_localhost(host: str, address: str) -> None:
    assert own_address(Settings(host=host, label_studio_url="http://127.0.0.1:8080")) == address
