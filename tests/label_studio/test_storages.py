"""Projects whose pictures lie in cloud storages, with a real Label Studio and a real S3 endpoint on this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.images.image_store import ImageRules, ImageStore
from backend.labelstudio.client import LabelStudioClient
from demo.label_studio_server import LabelStudioServer
from demo.local_servers import free_port
from tests.label_studio.conftest import QUICK
from tests.label_studio.person import CONFIG, Person
from tests.label_studio.servers import LOGIN, ROOT, boxstrap, eventually, label_studio_data, s3

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
            _fill(endpoint, bucket, [path for name in pictures for path in pictures[name][4 * number : 4 * number + 4]])
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
                yield Cloud(server, person, project, person.connect(project, url), log)
        finally:
            server.stop()


def _fill(endpoint: str, bucket: str, pictures: list[Path]) -> None:
    with httpx.Client(base_url=endpoint, trust_env=False) as http:
        http.put(f"/{bucket}").raise_for_status()
        for path in pictures:
            name = f"{path.parent.name}- ü {path.name}"  # as people name their files
            headers = {"Content-Type": "image/jpeg"}
            http.put(f"/{bucket}/{name}", content=path.read_bytes(), headers=headers).raise_for_status()


def test_pictures_in_s3_train_a_model_and_get_boxes(cloud: Cloud) -> None:
    cloud.person.start_training(cloud.backend)
    stored = cloud.version(1)
    assert all(each["result"] for each in stored)
    assert cloud.point_at(stored[0]["task"]) == cloud.point_at(stored[-1]["task"]) == {"rectanglelabels", "brushlabels"}


def test_they_do_so_where_label_studio_writes_a_hostname_that_nobody_reaches(cloud: Cloud) -> None:
    cloud.label_studio.stop()
    cloud.label_studio.hostname = ELSEWHERE
    cloud.label_studio.start()
    resolved = [str(task["data"]["image"]) for task in cloud.person.tasks(cloud.project)]
    assert len(resolved) == 16 and all(address.startswith(f"{ELSEWHERE}/tasks/") for address in resolved)
    cloud.person.start_training(cloud.backend)
    stored = cloud.version(2)
    assert all(each["result"] for each in stored)
    assert cloud.point_at(stored[0]["task"]) == cloud.point_at(stored[-1]["task"]) == {"rectanglelabels", "brushlabels"}


@pytest.mark.parametrize("hostname", ["", ELSEWHERE])
def test_the_addresses_that_label_studio_resolves_are_read_as_well(cloud: Cloud, hostname: str, tmp_path: Path) -> None:
    cloud.label_studio.stop()
    cloud.label_studio.hostname = hostname
    cloud.label_studio.start()
    rules = ImageRules(10_000_000, 10_000_000, 20.0, ("127.0.0.1",))
    with closing(LabelStudioClient(cloud.label_studio.url, LOGIN.token)) as client:
        store = ImageStore(tmp_path, rules, 100_000_000, client)
        for task in cloud.person.tasks(cloud.project)[::8]:  # one of each storage
            assert "/resolve/?fileuri=" in task["data"]["image"]
            assert store.fetch(task["data"]["image"], str(cloud.project), task["id"]).stat().st_size > 1000
