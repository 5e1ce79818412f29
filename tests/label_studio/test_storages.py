"""Projects whose pictures lie in cloud storages, with a real Label Studio and a real S3 endpoint on this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.images.image_store import ImageRules, ImageStore
from backend.labelstudio.client import LabelStudioClient
from demo.label_studio_server import LabelStudioServer
from demo.local_servers import free_port
from tests.label_studio.conftest import QUICK
from tests.label_studio.person import CONFIG, Person
from tests.label_studio.servers import LOGIN, ROOT, boxstrap, eventually, label_studio_data, s3
from tests.label_studio.wire_format import RECORDED, fill, observed

pytestmark = pytest.mark.slow

ELSEWHERE = "http://labels.invalid/label-studio"  # nobody reaches it, and it has a path
STORAGES = {"presigned": True, "proxied": False}
Json = dict[str, Any]


@dataclass(frozen=True)
class Cloud:
    """A project with four pictures of each class in each of two S3 storages, one presigned and one not."""

    label_studio: LabelStudioServer
    person: Person
    project: int
    backend: int
    log: Path
    endpoint: str
    pictures: Path

    def version(self, number: int) -> list[Json]:
        """The stored predictions of a version; fails where it does not come, or not for every task."""
        name = f"boxstrap-{self.project}-{number:04}"

        def stored() -> list[Json] | None:
            found = self.person.predictions(self.project, name)
            return found if len(found) == 16 else None

        return list(eventually(stored, 240, f"{name} is trained and pre-annotated", self.log))

    def point_at(self, task: int) -> set[str]:
        """The kinds of regions that come back for a drawn box."""
        sides = {"x": 10, "y": 10, "width": 80, "height": 80, "rotation": 0, "rectanglelabels": ["fish"]}
        size = {"original_width": 100, "original_height": 100, "image_rotation": 0}
        where = {"id": "drawn", "from_name": "box", "to_name": "image", "type": "rectanglelabels"}
        region = {**where, **size, "origin": "manual", "value": sides}
        return {each["type"] for each in self.person.point_at(self.backend, task, region)["result"]}


@pytest.fixture(scope="module")
def cloud(
    label_studio_program: Path,
    s3_program: Path,
    drawn: tuple[Path, dict[str, list[Path]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cloud]:
    folder, pictures = drawn
    data = tmp_path_factory.mktemp("cloud") / "data"
    shutil.copytree(label_studio_data(label_studio_program, ROOT / "build" / "label-studio-data"), data)
    server = LabelStudioServer(label_studio_program, data, free_port(), LOGIN, folder, hostname="")
    with s3(s3_program, data / "s3.log") as endpoint, tempfile.TemporaryDirectory(prefix="bx") as home:
        for number, bucket in enumerate(STORAGES):
            fill(endpoint, bucket, [path for name in pictures for path in pictures[name][4 * number : 4 * number + 4]])
        settings = {"LABEL_STUDIO_URL": server.url, "LABEL_STUDIO_API_KEY": LOGIN.token, "IMAGE_HOSTS": "127.0.0.1"}
        log = Path(home) / "log"
        try:
            server.start()
            with (
                boxstrap(Path(home), log, {**settings, "LOG_LEVEL": "DEBUG", **QUICK}) as url,
                closing(Person(server.url)) as person,
            ):
                project = person.make("cloud", CONFIG)
                for bucket, presign in STORAGES.items():
                    person.s3_storage(project, endpoint, bucket, presign)
                for task in person.tasks(project):
                    person.choose(task, task["storage_filename"].split("-")[0])
                yield Cloud(server, person, project, person.connect(project, url), log, endpoint, folder)
        finally:
            server.stop()


def read_as_resolved(cloud: Cloud, folder: Path) -> list[str]:
    """The addresses that Label Studio makes of a picture in each storage, once both were read."""
    rules = ImageRules(10_000_000, 10_000_000, 20.0, ("127.0.0.1",))
    addresses = []
    with closing(LabelStudioClient(cloud.label_studio.url, LOGIN.token)) as client:
        store = ImageStore(folder, rules, 100_000_000, client)
        for task in cloud.person.tasks(cloud.project)[::8]:
            addresses.append(str(task["data"]["image"]))
            assert store.fetch(addresses[-1], str(cloud.project), task["id"]).stat().st_size > 1000
    return addresses


def test_label_studio_sends_what_it_sent_when_it_was_recorded(cloud: Cloud) -> None:
    pictures = sorted(cloud.pictures.rglob("*.jpg"))[:1]
    now = observed(cloud.label_studio, cloud.endpoint, pictures)
    assert now == json.loads(RECORDED.read_text(encoding="utf-8"))


def test_pictures_in_s3_leave_in_an_export(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", cloud.label_studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LOGIN.token)
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMAGE_HOSTS", "127.0.0.1")
    out = tmp_path / "out"
    assert main(["export", str(cloud.project), "--format", "label-studio", "--out", str(out)]) == 0
    exported = [path.read_bytes() for path in (out / "images").iterdir()]
    assert len(exported) == len(cloud.person.tasks(cloud.project)) == 16
    assert set(exported) <= {path.read_bytes() for path in cloud.pictures.rglob("*.jpg")}


def test_pictures_in_s3_train_a_model_and_get_boxes(cloud: Cloud, tmp_path: Path) -> None:
    assert all(address.startswith("/tasks/") for address in read_as_resolved(cloud, tmp_path))
    cloud.person.start_training(cloud.backend)
    stored = cloud.version(1)
    assert all(each["result"] for each in stored)
    assert cloud.point_at(stored[0]["task"]) == cloud.point_at(stored[-1]["task"]) == {"rectanglelabels", "brushlabels"}


def test_they_do_so_where_label_studio_writes_a_hostname_that_nobody_reaches(cloud: Cloud, tmp_path: Path) -> None:
    cloud.label_studio.stop()
    cloud.label_studio.hostname = ELSEWHERE
    cloud.label_studio.start()
    assert all(address.startswith(f"{ELSEWHERE}/tasks/") for address in read_as_resolved(cloud, tmp_path))
    cloud.person.start_training(cloud.backend)
    stored = cloud.version(2)
    assert all(each["result"] for each in stored)
    assert cloud.point_at(stored[0]["task"]) == cloud.point_at(stored[-1]["task"]) == {"rectanglelabels", "brushlabels"}
