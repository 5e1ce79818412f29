"""What an annotator sees: the predicted box and mask are drawn in the editor of a real Chromium.

The screenshot is kept in build/screenshots. In CI a missing Chromium is a failure.
"""

from __future__ import annotations

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.results import to_prediction
from tests.label_studio.conftest import Place
from tests.label_studio.person import CONFIG
from tests.label_studio.servers import LOGIN, ROOT
from wsol_core.records import Localization, Region

pytestmark = pytest.mark.slow

COLOURED = CONFIG.replace('<Label value="ladybird"/>', '<Label value="ladybird" background="#00ff00"/>')
VERSION = "boxstrap-shown-0001"


@pytest.fixture(scope="module")
def chromium() -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sentence = "There is no Chromium here; install Debian's package chromium."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return program


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


def test_the_predicted_box_and_mask_are_drawn(place: Place, chromium: str) -> None:
    person = place.person
    project = person.make("shown", COLOURED)
    picture = place.drawn["ladybird"][0]
    person.upload(project, [picture])
    with Image.open(picture) as before:
        width, height = before.size
        green_before = green_share(before)
    mask = np.zeros((height, width), np.bool_)
    mask[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = True
    box = (width // 4, height // 4, width * 3 // 4, height * 3 // 4)
    corners = ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))
    region = Region("ladybird", box, 0.9, corners, mask)
    found = Localization("shown", (width, height), {"ladybird": 0.9}, (region,))
    prediction = to_prediction(found, LabelConfig.parse(COLOURED), VERSION, score_threshold=0.0)
    task = person.tasks(project)[0]
    person.call("POST", f"/api/projects/{project}/import/predictions", json=[{"task": task["id"], **prediction}])
    person.call("PATCH", f"/api/projects/{project}/", json={"model_version": VERSION})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        log_in(page, place.label_studio.url)
        page.goto(f"{place.label_studio.url}/projects/{project}/data?task={task['id']}")
        page.wait_for_selector("canvas", timeout=60_000)
        shot, green = b"", 0.0
        for _ in range(40):
            page.wait_for_timeout(500)
            shot = page.screenshot()
            with Image.open(io.BytesIO(shot)) as shown:
                green = green_share(shown)
            if green > max(0.01, 2 * green_before):
                break
        browser.close()
    kept = ROOT / "build" / "screenshots" / "task.png"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(shot)
    assert green > max(0.01, 2 * green_before), f"no green mask and box in {kept}"
