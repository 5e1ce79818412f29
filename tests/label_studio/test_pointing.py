"""What people point at in a real Chromium with Auto-Annotation on, and what the editor gets and shows for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page

from backend.labelstudio.corrections import drawn_regions
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.region_shapes import box_of, mask_of
from backend.settings import Settings
from backend.storage.stores import open_stores
from backend.storage.version_facts import VersionFacts
from tests.label_studio.conftest import PASSWORD, USER, Place
from tests.label_studio.servers import ROOT, eventually
from tests.label_studio.test_browser import opened_task
from wsol_core.localization.model_folder import save_model
from wsol_core.localization.predictor import Predictor
from wsol_core.records import BoolMask

pytestmark = pytest.mark.slow

LABEL = '<Label value="ladybird" background="#00ff00"/>'
CONFIG = f"""<View><Image name="image" value="$image" rotateControl="true"/>
<KeyPointLabels name="point" toName="image" smart="true">{LABEL}</KeyPointLabels>
<RectangleLabels name="box" toName="image" smart="true" canRotate="true">{LABEL}</RectangleLabels>
<BitmaskLabels name="mask" toName="image" smart="true">{LABEL}</BitmaskLabels></View>"""
POINT, BOX = 0, 1  # the labels below the picture, in the config's order
SIZE_WH = (640, 480)
RED, BLUE, BESIDE = (220, 240), (380, 240), (550, 420)  # the middles of two discs that touch, and a place beside both

Json = dict[str, Any]
PointXy = tuple[float, float]


@dataclass(frozen=True)
class Editor:
    """A task that is open in the editor. Places are in pixels of the picture."""

    page: Page

    def at(self, place: PointXy) -> PointXy:
        """Where a place of the picture is in the window."""
        canvas = self.page.locator(".konvajs-content").bounding_box()
        assert canvas is not None
        x, y = (part / side for part, side in zip(place, SIZE_WH, strict=True))
        return canvas["x"] + x * canvas["width"], canvas["y"] + y * canvas["height"]

    def choose(self, label: int) -> None:
        """The editor lets go of a label once a region is drawn."""
        tag = self.page.locator(".lsf-label").nth(label)
        if "lsf-label_selected" not in (tag.get_attribute("class") or ""):
            tag.click()

    def take(self, tool: str) -> None:
        """Takes a violet tool, which comes up beside the last one of the toolbar."""
        violet = self.page.locator(".lsf-tool_smart")
        violet.first.hover()
        violet.and_(self.page.get_by_label(tool, exact=True)).click()

    def click(self, place: PointXy, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.down(key)
        self.page.mouse.click(*self.at(place))
        for key in keys:
            self.page.keyboard.up(key)

    def drag(self, begin: PointXy, end: PointXy) -> None:
        self.page.mouse.move(*self.at(begin))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(end), steps=5)
        self.page.mouse.up()

    def answer(self, draw: Callable[[], None], name: str) -> tuple[list[Json], list[Json]]:
        """The regions that the editor sends for what is drawn, and those that it is given; keeps a screenshot."""
        with self.page.expect_response(lambda each: "interactive-annotating" in each.url, timeout=90_000) as found:
            draw()
        sent = json.loads(found.value.request.post_data or "")["context"]["result"]
        given = found.value.json()["data"]["result"]
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=ROOT / "build" / "screenshots" / f"pointing-{name}.png")
        return sent, given


@pytest.fixture(scope="module")
def blind(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose maps are the same everywhere, so that colours alone say where an object ends."""
    predictor = Predictor.open(model)
    for parameter in predictor.method.parameters():
        parameter.data.zero_()
    folder = tmp_path_factory.mktemp("blind")
    save_model(folder, predictor.method, predictor.card)
    return folder


@pytest.fixture(scope="module")
def project(place: Place, blind: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A project of three tasks, each with a picture of two discs that touch, whose tasks open empty."""
    number = place.person.make("pointing", CONFIG)
    place.person.call("PATCH", f"/api/projects/{number}/", json={"show_collab_predictions": False})
    picture = Image.new("RGB", SIZE_WH, (70, 90, 60))
    for (x, y), colour in ((RED, (220, 60, 40)), (BLUE, (60, 80, 220))):
        ImageDraw.Draw(picture).ellipse((x - 80, y - 80, x + 80, y + 80), fill=colour)
    path = tmp_path_factory.mktemp("discs") / "discs.png"
    picture.save(path)
    for _ in range(3):
        place.person.upload(number, [path])
    open_stores(Settings(home=place.home)).models.publish(str(number), blind, VersionFacts(run="pointing"))
    place.person.connect(number, place.url, auth_method="BASIC_AUTH", basic_auth_user=USER, basic_auth_pass=PASSWORD)
    (ROOT / "build" / "screenshots").mkdir(parents=True, exist_ok=True)
    return number


@contextmanager
def opened(place: Place, chromium: str, project: int, index: int) -> Iterator[tuple[Editor, int]]:
    """One of the tasks in the editor, and its number."""
    task = place.person.tasks(project)[index]["id"]
    with opened_task(place, chromium, project, task) as page:
        page.get_by_text("Auto-Annotation").first.wait_for(timeout=60_000)
        yield Editor(page), task


def mask_in(results: list[Json]) -> BoolMask:
    [mask] = [mask_of(each) for each in results if each["type"] == "bitmasklabels"]
    assert mask is not None
    return mask


def shows(mask: BoolMask) -> tuple[bool, bool]:
    """Whether the red disc and the blue one are in a mask."""
    red, blue = (bool(mask[y, x]) for x, y in (RED, BLUE))
    return red, blue


def box_in(results: list[Json]) -> tuple[float, ...]:
    [box] = [box_of(each) for each in results if each["type"] == "rectanglelabels"]
    assert box is not None
    return box


def test_clicks_beside_an_object_take_away_what_is_there_and_nothing_else(
    place: Place, chromium: str, project: int
) -> None:
    with opened(place, chromium, project, 0) as (editor, _):
        editor.page.get_by_text("Auto-Annotation").first.click()
        editor.choose(BOX)
        editor.take("rectangle-tool")
        _, given = editor.answer(lambda: editor.drag((125, 145), (475, 335)), "box")
        assert shows(mask_in(given)) == (True, True)
        editor.take("key-point-tool")
        editor.choose(POINT)
        # In a box that is there Ctrl draws; without, a click chooses the box. The editor sends the click alone.
        sent, given = editor.answer(lambda: editor.click(BLUE, "Control", "Alt"), "beside")
        assert [(each["type"], each["is_positive"]) for each in sent] == [("keypointlabels", False)]
        assert shows(mask_in(given)) == (True, False)
        assert box_in(given) == pytest.approx((141, 160, 300, 321), abs=12)
        editor.choose(POINT)
        sent, again = editor.answer(lambda: editor.click(RED, "Control"), "both")
        assert [each["is_positive"] for each in sent] == [False, True]
        assert shows(mask_in(again)) == (True, False)
        editor.choose(POINT)
        _, again = editor.answer(lambda: editor.click(BESIDE, "Alt"), "on-nothing")
        assert shows(mask_in(again)) == (True, False) and not mask_in(again)[BESIDE[1] - 40 :].any()


def test_what_lies_outside_of_a_turned_box_is_not_the_object(place: Place, chromium: str, project: int) -> None:
    with opened(place, chromium, project, 1) as (editor, _):
        editor.page.get_by_text("Auto-Annotation").first.click()
        editor.choose(BOX)
        editor.take("rectangle-3-point-tool")

        def three_corners() -> None:
            for place in ((220, 130), (330, 240), (220, 350)):
                editor.click(place)
                editor.page.wait_for_timeout(400)

        sent, given = editor.answer(three_corners, "turned")
        assert sent[0]["value"]["rotation"] == pytest.approx(45, abs=2)
        assert shows(mask_in(given)) == (True, False)


def test_regions_drawn_in_a_picture_that_is_turned_lie_in_the_picture_as_it_is(
    place: Place, chromium: str, project: int
) -> None:
    with opened(place, chromium, project, 2) as (editor, task):
        page = editor.page
        page.get_by_label("rotate-right").click()
        editor.choose(BOX)  # scrolls
        page.wait_for_timeout(3000)
        picture = page.locator("img[alt=image]").bounding_box()
        assert picture is not None and picture["height"] > picture["width"]

        def seen(x: float, y: float) -> PointXy:
            """A place of the picture in the window, after a quarter turn clockwise."""
            right, down = 1 - y / SIZE_WH[1], x / SIZE_WH[0]
            return picture["x"] + right * picture["width"], picture["y"] + down * picture["height"]

        page.mouse.move(*seen(140, 320))
        page.mouse.down()
        page.mouse.move(*seen(300, 160), steps=8)
        page.mouse.up()
        page.screenshot(path=ROOT / "build" / "screenshots" / "pointing-rotated.png")
        page.click("button:has-text('Submit')")

        def submitted() -> Json | None:
            found: Json = place.person.call("GET", f"/api/tasks/{task}/")
            return found if found["annotations"] else None

        found = eventually(submitted, 60, "the region is submitted")
    [result] = found["annotations"][0]["result"]
    assert result["image_rotation"] == 90
    [region] = drawn_regions(found, LabelConfig.parse(CONFIG))
    assert region.box_xyxy == pytest.approx((140, 160, 300, 320), abs=6)
