"""What an annotator sees and submits in a real Chromium: predicted boxes and masks, by prediction and by draft.

Screenshots are kept in build/screenshots. In CI a missing Chromium is a failure.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.drafts import is_ours, plan_draft
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.results import to_prediction
from backend.labelstudio.reviews import review
from backend.labelstudio.task_labels import given_labels
from tests.label_studio.conftest import Place
from tests.label_studio.person import CONFIG
from tests.label_studio.servers import LOGIN, ROOT, eventually
from wsol_core.records import Localization, Region

pytestmark = pytest.mark.slow

COLOURED = CONFIG.replace('<Label value="ladybird"/>', '<Label value="ladybird" background="#00ff00"/>')
VERSION = "boxstrap-shown-0001"


@dataclass(frozen=True)
class Shown:
    """A task with a prediction, and the share of green in its screenshot that says that it is drawn."""

    project: int
    task: int
    prediction: dict[str, Any]
    at_least: float


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/user/login/")
    page.fill("input[name=email]", LOGIN.email)
    page.fill("input[name=password]", LOGIN.password)
    page.click("button[type=submit], input[type=submit]")
    page.wait_for_url(lambda address: "/user/login" not in address)


def green_share(picture: Image.Image) -> float:
    """Share of pixels that are much greener than anything else."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return float(np.mean((green > 110) & (green - red > 50) & (green - blue > 50)))


def two_linked_objects(size_wh: tuple[int, int]) -> dict[str, Any]:
    """A prediction of two ladybirds side by side, each with a box and a mask that its ids link."""
    width, height = size_wh
    regions = []
    for left in (width // 8, width * 5 // 8):
        x0, y0, x1, y1 = left, height // 4, left + width // 4, height * 3 // 4
        mask = np.zeros((height, width), np.bool_)
        mask[y0:y1, x0:x1] = True
        regions.append(Region("ladybird", (x0, y0, x1, y1), 0.9, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), mask))
    found = Localization("shown", size_wh, {"ladybird": 0.9}, tuple(regions))
    return to_prediction(found, LabelConfig.parse(COLOURED), VERSION, score_threshold=0.0)


@contextmanager
def opened_task(place: Place, chromium: str, project: int, task: int) -> Iterator[Page]:
    """The task as a person who is logged in opens it, at once and then with pictures in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        log_in(page, place.label_studio.url)
        page.goto(f"{place.label_studio.url}/projects/{project}/data?task={task}")
        page.wait_for_selector("canvas", timeout=60_000)
        yield page
        browser.close()


def wait_for_green(page: Page, name: str, at_least: float) -> None:
    """Keeps the screenshot, whatever comes."""
    shot, green = b"", 0.0
    for _ in range(40):
        page.wait_for_timeout(500)
        shot = page.screenshot()
        with Image.open(io.BytesIO(shot)) as shown:
            green = green_share(shown)
        if green > at_least:
            break
    kept = ROOT / "build" / "screenshots" / f"{name}.png"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(shot)
    assert green > at_least, f"no green mask and box in {kept}"


@pytest.fixture
def shown(place: Place) -> Shown:
    """A project of one picture with a prediction of two objects."""
    person = place.person
    project = person.make("shown", COLOURED)
    picture = place.drawn["ladybird"][0]
    person.upload(project, [picture])
    with Image.open(picture) as before:
        at_least = max(0.01, 2 * green_share(before))
        prediction = two_linked_objects(before.size)
    task = person.tasks(project)[0]
    person.call("POST", f"/api/projects/{project}/import/predictions", json=[{"task": task["id"], **prediction}])
    return Shown(project, task["id"], prediction, at_least)


def submitted(place: Place, shown: Shown, page: Page, button: str) -> dict[str, Any]:
    """The task once the person has pressed the button that submits."""
    page.click(f"button:has-text('{button}')")

    def task() -> dict[str, Any] | None:
        [found] = place.person.tasks(shown.project)
        regions = [len(each["result"]) for each in found["annotations"]]
        return found if regions and max(regions) > 1 else None

    found: dict[str, Any] = eventually(task, 60, f"{button} submits the regions")
    return found


def assert_all_ids_stay_linked(shown: Shown, task: dict[str, Any]) -> None:
    [annotation] = task["annotations"]
    regions = {each["id"]: each for each in annotation["result"] if each["type"] != "choices"}
    assert set(regions) == {each["id"] for each in shown.prediction["result"] if each["type"] != "choices"}
    assert {each["origin"] for each in regions.values()} == {"prediction"}
    config = LabelConfig.parse(COLOURED)
    assert given_labels(task, config) == ("ladybird",)
    row = review(task, config)
    assert row is not None and (row.outcome, row.version) == ("accepted", VERSION)
    assert [(each.fate, each.box_iou, each.mask_iou) for each in row.objects] == [("accepted", 1.0, 1.0)] * 2


def test_the_predicted_boxes_and_masks_are_drawn_and_stay_linked_when_submitted(
    place: Place, chromium: str, shown: Shown
) -> None:
    place.person.call("PATCH", f"/api/projects/{shown.project}/", json={"model_version": VERSION})
    with opened_task(place, chromium, shown.project, shown.task) as page:
        wait_for_green(page, "task", shown.at_least)
        assert_all_ids_stay_linked(shown, submitted(place, shown, page, "Submit"))


def test_a_task_whose_class_was_submitted_opens_with_boxes_and_masks_in_place(
    place: Place, chromium: str, shown: Shown
) -> None:
    place.person.choose({"id": shown.task}, "ladybird")
    with closing(LabelStudioClient(place.label_studio.url, place.token)) as client:
        [task] = client.tasks(str(shown.project))
        draft = plan_draft(task, client.whoami()["id"], task["predictions"][0], LabelConfig.parse(COLOURED))
        assert draft is not None
        client.add_draft(shown.task, draft.annotation, draft.result)
    with opened_task(place, chromium, shown.project, shown.task) as page:
        wait_for_green(page, "draft", shown.at_least)
        [opened] = place.person.tasks(shown.project)
        assert [each["type"] for each in opened["annotations"][0]["result"]] == ["choices"]  # nothing is finished yet
        assert all(is_ours(each) for each in opened["drafts"])
        task = submitted(place, shown, page, "Update")
        # Label Studio saves the regions first.
        eventually(lambda: not place.person.tasks(shown.project)[0]["drafts"], 10, "the draft goes")
    assert_all_ids_stay_linked(shown, task)
