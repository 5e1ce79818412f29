"""`boxstrap import` into a real Label Studio: uploaded or served pictures, resumed, and connected."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from backend.cli import main
from backend.errors import LabelStudioError, RequestError
from backend.images.image_store import ImageStore
from backend.labelstudio.controls import BITMASK, RECTANGLE
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.project_client import ProjectClient
from backend.labelstudio.task_labels import given_labels, image_reference
from backend.services import importing, uploads
from backend.services.importing import Imported, ImportService
from backend.settings import Settings
from backend.storage.stores import open_stores
from demo.local_servers import free_port
from tests.label_studio.conftest import PASSWORD, USER, Place
from wsol_core.data.folder import read_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(place: Place, tmp_path: Path) -> Settings:
    return Settings(
        label_studio_url=place.label_studio.url,
        label_studio_api_key=place.token,
        basic_auth_user=USER,
        basic_auth_pass=PASSWORD,
        home=tmp_path / "home",
    )


@pytest.fixture
def service(settings: Settings) -> Iterator[ImportService]:
    with closing(ProjectClient.of(settings)) as client:
        yield ImportService(settings, open_stores(settings), client)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of two pictures, whose names are no names for an address."""
    pictures = tmp_path / "two classes"
    for index, name in enumerate(("crab/1 #a.jpg", "crab/b%20.png", "fish & co/ü.jpg", "fish & co/2.jfif")):
        path = pictures / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (60 * index, 90, 120)).save(path, "PNG" if name.endswith("png") else "JPEG")
    return pictures


def imported(service: ImportService, folder: Path, **more: str) -> Imported:
    return service.import_folder(folder, read_folder(folder), **more)


def test_a_folder_becomes_tasks_with_classes_whose_pictures_can_be_read(
    place: Place, service: ImportService, settings: Settings, folder: Path
) -> None:
    done = imported(service, folder, title="uploaded")
    assert (done.new, done.added, done.known, done.skipped) == (True, 4, 0, ())
    config = LabelConfig.parse(str(place.person.call("GET", f"/api/projects/{done.project}/")["label_config"]))
    assert {control.kind for control in config.region_controls} == {RECTANGLE, BITMASK}
    assert all(control.smart for control in config.controls)
    with closing(ProjectClient.of(settings)) as client:
        media = ImageStore.from_settings(settings, client)
        tasks = list(client.tasks(done.project))
        found = {task["data"]["file"]: given_labels(task, config) for task in tasks}
        for task in tasks:
            path = media.fetch(image_reference(task, config), done.project, task["id"])
            assert path.read_bytes() == (folder / task["data"]["file"]).read_bytes()
    assert found == {
        "crab/1 #a.jpg": ("crab",),
        "crab/b%20.png": ("crab",),
        "fish & co/2.jfif": ("fish & co",),
        "fish & co/ü.jpg": ("fish & co",),
    }


def test_an_import_that_ended_early_goes_on_and_nothing_is_there_twice(
    place: Place, service: ImportService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 1)

    def end_after_two(count: int) -> None:
        if count == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        service.import_folder(folder, read_folder(folder), title="resumed", on_done=end_after_two)
    done = imported(service, folder, title="resumed")
    assert (done.new, done.added, done.known) == (False, 2, 2)
    shutil.copytree(folder / "crab", folder / "snail")
    more = imported(service, folder, title="resumed")
    assert (more.added, more.known, more.classes) == (2, 4, ("crab", "fish & co", "snail"))
    files = [task["data"]["file"] for task in place.person.tasks(int(done.project))]
    assert len(files) == len(set(files)) == 6


def test_a_dry_run_says_what_an_import_would_do_and_writes_nothing(
    place: Place,
    service: ImportService,
    settings: Settings,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "crab" / "broken.jpg").write_bytes(b"no picture")
    would = service.import_folder(folder, read_folder(folder), title="rehearsed", dry_run=True)
    assert (would.project, would.new, would.added, would.known, len(would.skipped)) == ("", True, 4, 0, 1)
    assert place.person.call("GET", "/api/projects/", params={"title": "rehearsed"})["count"] == 0
    done = imported(service, folder, title="rehearsed")
    shutil.copytree(folder / "crab", folder / "snail")
    for name, value in {"URL": settings.label_studio_url, "API_KEY": settings.label_studio_api_key}.items():
        monkeypatch.setenv(f"LABEL_STUDIO_{name}", str(value))
    monkeypatch.setenv("BOXSTRAP_HOME", str(settings.home))
    assert main(["import", str(folder), "--title", "rehearsed", "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"Nothing is written; project {done.project}, rehearsed, would be filled" in said
    assert "2 new, 4 there already" in said and "would get labels for new classes" in said
    assert len(place.person.tasks(int(done.project))) == 4
    config = place.person.call("GET", f"/api/projects/{done.project}/")["label_config"]
    assert LabelConfig.parse(str(config)).classes == ("crab", "fish & co")


def test_pictures_that_label_studio_serves_are_not_uploaded(
    place: Place, service: ImportService, settings: Settings
) -> None:
    data = read_folder(place.folder / "images")
    done = service.import_folder(
        place.folder / "images", data, title="served", served_from=place.folder.parent, project=None
    )
    again = service.import_folder(
        place.folder / "images", data, title="served", served_from=place.folder.parent, project=None
    )
    assert (done.added, again.added, again.known) == (24, 0, 24)
    [storage] = place.person.call("GET", "/api/storages/localfiles", params={"project": done.project})
    assert storage["path"] == str(place.folder / "images")
    with closing(ProjectClient.of(settings)) as client:
        media = ImageStore.from_settings(settings, client)
        task = next(client.tasks(done.project))
        path = media.fetch(task["data"]["image"], done.project, task["id"])
    assert path.read_bytes() == (place.folder / "images" / task["data"]["file"]).read_bytes()


def test_a_project_of_other_classes_is_not_filled(place: Place, service: ImportService, folder: Path) -> None:
    config = '<View><Image name="i" value="$picture"/><RectangleLabels name="b" toName="i">{}</RectangleLabels></View>'
    number = place.person.make("others", config.format('<Label value="dog"/>'))
    with pytest.raises(RequestError, match=r"no label for 'crab', 'fish & co'"):
        imported(service, folder, project=str(number))
    assert place.person.tasks(number) == []
    labels = '<Label value="CRAB"/><Label value="fish &amp; co"/>'
    place.person.call("PATCH", f"/api/projects/{number}/", json={"label_config": config.format(labels)})
    assert imported(service, folder, project=str(number)).added == 4
    assert all(task["data"]["picture"].startswith("/data/upload/") for task in place.person.tasks(number))


def test_a_project_is_connected_once_we_can_be_reached(
    place: Place, service: ImportService, settings: Settings
) -> None:
    number = str(place.person.make("to be connected", importing.recommended_config(("crab",))))
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(LabelStudioError, match=f"does not reach Boxstrap at {nowhere}"):
        service.connect(number, nowhere)
    connections = open_stores(settings).connections
    assert connections.wanted() == {number: nowhere}
    for _ in range(2):
        service.connect(number, place.url)
    [backend] = place.person.call("GET", "/api/ml", params={"project": number})
    assert (backend["url"], backend["state"], backend["is_interactive"]) == (place.url, "CO", True)
    assert connections.wanted() == {}


def test_what_no_task_can_show_is_said_and_left_out(
    service: ImportService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LARGEST_BYTES", 1_000_000)
    (folder / "crab" / "huge.jpg").write_bytes((folder / "crab" / "1 #a.jpg").read_bytes() + bytes(1_000_000))
    Image.new("RGB", (9, 9)).save(folder / "crab" / "scan.tif")
    (folder / "crab" / "broken.jpg").write_bytes(b"no picture")
    (folder / "crab" / os.fsdecode(b"\xe9.jpg")).write_bytes((folder / "crab" / "1 #a.jpg").read_bytes())
    done = imported(service, folder, title="left out")
    assert done.added == 5  # a name that is not UTF-8 is written as it can be
    said = "\n".join(done.skipped)
    assert "crab/scan.tif is TIFF, which browsers do not show" in said
    assert "crab/broken.jpg is no picture" in said
    assert "crab/huge.jpg has more than 0 MB, which Label Studio does not take" in said
    assert said.isprintable() or "\n" in said


def test_two_projects_of_one_title_have_to_be_told_apart(place: Place, service: ImportService, folder: Path) -> None:
    numbers = [place.person.make("twins", "<View></View>") for _ in range(2)]
    with pytest.raises(RequestError, match=f"Projects {numbers[0]}, {numbers[1]} are all called 'twins'"):
        imported(service, folder, title="twins")
    assert imported(service, folder, project=str(numbers[1])).added == 4


def test_without_a_password_the_backend_is_connected_without_one(
    place: Place, settings: Settings, service: ImportService
) -> None:
    number = str(place.person.make("no password", importing.recommended_config(("crab",))))
    bare = replace(settings, basic_auth_user=None, basic_auth_pass=None)
    with closing(ProjectClient.of(bare)) as client, pytest.raises(LabelStudioError):
        ImportService(bare, open_stores(bare), client).connect(number, place.url)  # it asks for one
