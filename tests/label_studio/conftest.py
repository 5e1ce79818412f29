"""A real Label Studio and a real `boxstrap up`, one of each for the whole session.

`make test` installs Label Studio and an S3 endpoint in build/; BOXSTRAP_LABEL_STUDIO names another Label Studio. In CI
their absence is a failure; elsewhere these tests are skipped, and say so.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.cli import main
from backend.jobs.context import job_context
from backend.settings import Settings
from backend.storage.stores import Stores, open_stores
from demo.label_studio_server import LabelStudioServer
from tests.backend.support.command_line import SMALL
from tests.backend.support.real_services import Nursery
from tests.chromium import chromium_program
from tests.label_studio.person import Person
from tests.label_studio.servers import ROOT, S3_PROGRAM, boxstrap, installed, label_studio, personal_token
from tests.local_http import web_server

USER, PASSWORD = "label-studio", "a-passw0rd"
QUICK = {"BOXSTRAP_BACKBONE": "tiny", "TRAIN_EPOCHS": "2"}  # whoever starts a training settles both


@dataclass(frozen=True)
class Place:
    """Everything that runs. `drawn` are pictures by class; `url` is Boxstrap's address, `web` that of the pictures."""

    label_studio: LabelStudioServer
    person: Person
    token: str
    url: str
    log: Path
    home: Path
    web: str
    folder: Path
    drawn: dict[str, list[Path]]


@pytest.fixture(scope="session")
def label_studio_program() -> Path:
    return installed(Path(os.environ.get("BOXSTRAP_LABEL_STUDIO", ROOT / "build/label-studio/bin/label-studio")))


@pytest.fixture(scope="session")
def s3_program() -> Path:
    return installed(S3_PROGRAM)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.end()


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Path]]]:
    """A folder of 24 drawn pictures, and its pictures by class."""
    folder = tmp_path_factory.mktemp("local") / "pictures"
    assert main(["draw", str(folder), "--classes", "2", "--images", "24", "--json"]) == 0
    classes = ("ladybird", "fish")
    return folder, {name: sorted((folder / "images" / name).glob("*.jpg")) for name in classes}


@pytest.fixture(scope="session")
def place(
    label_studio_program: Path, drawn: tuple[Path, dict[str, list[Path]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Label Studio and Boxstrap, with a personal token and basic auth."""
    folder, pictures = drawn
    data = tmp_path_factory.mktemp("label-studio") / "data"
    template = ROOT / "build" / "label-studio-data"
    with (
        label_studio(label_studio_program, template, data, folder) as server,
        web_server(folder) as web,
        tempfile.TemporaryDirectory(prefix="bx") as home,
    ):
        token, log = personal_token(server.url), Path(home) / "log"
        environment = {
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": token,
            "BASIC_AUTH_USER": USER,
            "BASIC_AUTH_PASS": PASSWORD,
            "IMAGE_HOSTS": "127.0.0.1",
            "LOG_LEVEL": "DEBUG",
            **QUICK,
        }
        with boxstrap(Path(home), log, environment) as url:
            person = Person(server.url)
            yield Place(server, person, token, url, log, Path(home), web, folder, pictures)
            person.close()


@pytest.fixture
def stores(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Those of an installation of the test's own, which commands use."""
    for name, value in {
        "BOXSTRAP_HOME": str(tmp_path / "home"),
        "LABEL_STUDIO_URL": place.label_studio.url,
        "LABEL_STUDIO_API_KEY": place.token,
        "IMAGE_HOSTS": "127.0.0.1",
        "DEVICE": "cpu",
    }.items():
        monkeypatch.setenv(name, value)
    job_context.cache_clear()
    yield open_stores(Settings.from_env())
    if job_context.cache_info().currsize:
        job_context().label_studio().close()
    job_context.cache_clear()


@pytest.fixture(scope="session")
def model(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has hardly learned anything."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    assert main(["train", str(place.folder), "--out", str(folder), "--epochs", "1", "--json", *SMALL]) == 0
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    return chromium_program()
