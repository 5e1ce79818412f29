"""The main job in a real Label Studio: connect, press "Start training", and boxes and masks are on the tasks."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface

from backend.labelstudio.brush_rle import decode_mask
from backend.labelstudio.client import LabelStudioClient
from tests.label_studio.conftest import PASSWORD, QUICK, USER, Place
from tests.label_studio.person import CONFIG
from tests.label_studio.servers import LOGIN, boxstrap, eventually

pytestmark = pytest.mark.slow

TRAINED_S = 240  # on two cores that other tests use as well
AUTH = {"auth_method": "BASIC_AUTH", "basic_auth_user": USER, "basic_auth_pass": PASSWORD}


@dataclass(frozen=True)
class Trained:
    project: int
    backend: int
    version: str


def make_project(place: Place, title: str, url: str | None = None) -> tuple[int, int]:
    """A project with pictures from each kind of source, connected to `url`, else to `place`; its number and backend."""
    project = place.person.make(title, CONFIG)
    pictures = place.drawn["ladybird"][:8] + place.drawn["fish"][:8]
    sources = [pictures[start::4] for start in range(4)]
    place.person.upload(project, sources[0])
    place.person.local_files(project, place.folder, sources[1])
    place.person.import_images(project, [f"{place.web}/{path.relative_to(place.folder)}" for path in sources[2]])
    place.person.data_uris(project, sources[3])
    order = [path for source in sources for path in source]
    for task, path in zip(place.person.tasks(project), order, strict=True):
        place.person.choose(task, path.parent.name)
    return project, place.person.connect(project, url or place.url, **AUTH)


def newest(place: Place, project: int) -> str:
    return str(place.person.call("GET", "/api/ml", params={"project": project})[0]["model_version"])


def trained_version(place: Place, project: int, before: str, stored: int = 16) -> str:
    """The version after `before`, once so many of its predictions are stored."""

    def version() -> str | None:
        now = newest(place, project)
        return now if now != before and len(place.person.predictions(project, now)) == stored else None

    return str(eventually(version, TRAINED_S, f"project {project} is trained and pre-annotated", place.log))


@pytest.fixture(scope="module")
def two_projects(place: Place) -> list[Trained]:
    """Two projects whose trainings are started at the same time."""
    made = [make_project(place, title) for title in ("first", "second")]
    for project, backend in made:
        place.person.retrieve_predictions(project)
        stored = place.person.predictions(project)
        assert [each["result"] for each in stored] == [[]] * 16  # before the first version there is nothing, validly
        assert {each["model_version"] for each in stored} == {f"boxstrap-{project}-untrained"}
        place.person.start_training(backend)
    return [
        Trained(project, backend, trained_version(place, project, f"boxstrap-{project}-untrained"))
        for project, backend in made
    ]


@pytest.fixture(scope="module")
def trained(two_projects: list[Trained]) -> Trained:
    return two_projects[0]


def test_two_projects_are_trained_each_on_its_own(two_projects: list[Trained]) -> None:
    assert [each.version for each in two_projects] == [f"boxstrap-{each.project}-0001" for each in two_projects]


def test_connecting_makes_a_webhook_and_the_webhook_gets_the_password(place: Place, trained: Trained) -> None:
    def signed() -> list[Any]:
        hooks = place.person.call("GET", "/api/webhooks/", params={"project": trained.project})
        assert [hook["url"] for hook in hooks] == [f"{place.url}/webhook"]
        newest(place, trained.project)  # has Label Studio call /setup
        return [hook for hook in hooks if "Authorization" in hook["headers"]]

    assert eventually(signed, 90, "the webhook is signed")


def test_every_picture_has_boxes_and_masks_whatever_it_came_from(place: Place, trained: Trained) -> None:
    interface = LabelInterface(CONFIG)
    for prediction in place.person.predictions(trained.project, trained.version):
        kinds = [region["type"] for region in prediction["result"]]
        assert kinds.count("rectanglelabels") == kinds.count("brushlabels") >= 1 and kinds.count("choices") == 1
        assert interface.validate_prediction(prediction, return_errors=True) == []
        for region in prediction["result"]:
            if region["type"] == "brushlabels":
                size_wh = (region["original_width"], region["original_height"])
                assert decode_mask(region["value"]["rle"], size_wh).any()


def test_the_classes_that_people_chose_are_the_ones_that_are_boxed(place: Place, trained: Trained) -> None:
    chosen = {
        task["id"]: task["annotations"][0]["result"][0]["value"]["choices"]
        for task in place.person.tasks(trained.project)
    }
    for prediction in place.person.predictions(trained.project, trained.version):
        boxes = [region for region in prediction["result"] if region["type"] == "rectanglelabels"]
        assert all(box["value"]["rectanglelabels"] == chosen[prediction["task"]] for box in boxes)


def test_retrieving_again_stores_nothing_twice(place: Place, trained: Trained) -> None:
    before = len(place.person.predictions(trained.project))
    place.person.retrieve_predictions(trained.project)
    place.person.retrieve_predictions(trained.project)
    assert len(place.person.predictions(trained.project)) == before


def test_a_new_version_learns_from_drawn_boxes_and_predicts_again(place: Place, two_projects: list[Trained]) -> None:
    second = two_projects[1]
    task = place.person.tasks(second.project)[0]
    label = task["annotations"][0]["result"][0]["value"]["choices"][0]
    place.person.draw(task, label, (10, 20, 50, 60))
    place.person.start_training(second.backend)
    # The task with the drawn box is finished, so pre-annotation leaves it alone.
    assert trained_version(place, second.project, second.version, 15) == f"boxstrap-{second.project}-0002"
    assert [each["task"] for each in place.person.predictions(second.project, second.version)] == [task["id"]]
    manifest = place.home / "models" / str(second.project) / f"boxstrap-{second.project}-0002" / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    drawn = {line["task"]: line["regions"] for line in lines if line["regions"]}
    [[region]] = drawn.values()
    assert (list(drawn), region["label"], region["mask"]) == ([task["id"]], label, None)
    x0, y0, x1, y1 = region["box_xyxy"]
    assert (x0 / x1, y0 / y1) == pytest.approx((10 / 60, 20 / 80))


def test_label_studio_retrieves_what_pre_annotation_has_not_written(place: Place, trained: Trained) -> None:
    version = {"model_version": trained.version}
    place.person.call("DELETE", f"/api/projects/{trained.project}/model-versions/", json=version)
    assert place.person.predictions(trained.project, trained.version) == []
    place.person.retrieve_predictions(trained.project)
    stored = place.person.predictions(trained.project, trained.version)
    assert len(stored) == 16 and all(each["result"] for each in stored)


def test_a_drawn_box_comes_back_as_mask_and_refined_box(place: Place, trained: Trained) -> None:
    task = place.person.tasks(trained.project)[0]
    region = {
        "original_width": 100,
        "original_height": 100,
        "image_rotation": 0,
        "id": "drawn",
        "from_name": "box",
        "to_name": "image",
        "type": "rectanglelabels",
        "origin": "manual",
        "value": {"x": 10, "y": 10, "width": 80, "height": 80, "rotation": 0, "rectanglelabels": ["fish"]},
    }
    found = place.person.point_at(trained.backend, task["id"], region)
    kinds = {each["type"]: each for each in found["result"]}
    assert set(kinds) == {"rectanglelabels", "brushlabels"}
    box = kinds["rectanglelabels"]["value"]
    assert box["rectanglelabels"] == ["fish"]
    assert box["x"] >= 9.5 and box["y"] >= 9.5 and box["x"] + box["width"] <= 90.5 and box["y"] + box["height"] <= 90.5


@pytest.mark.parametrize("kind", ["personal", "legacy"])
def test_both_kinds_of_tokens_read_the_project(place: Place, trained: Trained, kind: str) -> None:
    token = place.token if kind == "personal" else LOGIN.token
    with closing(LabelStudioClient(place.label_studio.url, token)) as client:
        assert client.whoami()["email"] == LOGIN.email
        assert len(list(client.tasks(str(trained.project), page_size=5))) == 16
        assert client.project(str(trained.project))["id"] == trained.project


def test_the_server_of_label_studio_ml_does_the_same(place: Place) -> None:
    program = str(Path(sys.executable).with_name("label-studio-ml"))
    shared = {"BASIC_AUTH_USER": USER, "BASIC_AUTH_PASS": PASSWORD, **QUICK}  # Redis and workers are the home's
    with boxstrap(place.home, place.home / "stock-log", shared, program, "start", "backend", "-p") as url:
        project, backend = make_project(place, "stock", url)
        place.person.start_training(backend)
        version = trained_version(place, project, f"boxstrap-{project}-untrained")
        place.person.call("DELETE", f"/api/projects/{project}/model-versions/", json={"model_version": version})
        place.person.retrieve_predictions(project)
        place.person.retrieve_predictions(project)
        stored = place.person.predictions(project, version)
        assert len(stored) == 16 and all(each["result"] for each in stored)


def test_no_secret_and_no_picture_is_in_the_log(place: Place, trained: Trained) -> None:
    log = place.log.read_text(errors="replace")
    secrets = {"personal token": place.token, "legacy token": LOGIN.token, "password": PASSWORD, "picture": ";base64,"}
    assert [name for name, secret in secrets.items() if secret in log] == []
