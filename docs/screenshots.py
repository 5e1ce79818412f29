"""Makes the pages' pictures from a running `make demo`: python -m docs.screenshots build/demo

Makes a project in it whose classes are submitted, connects it, and trains it, which takes eight minutes.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import FloatRect, Page, ViewportSize, sync_playwright

from demo.project import DemoProject, label_config

OUT = Path(__file__).parent
LABEL_STUDIO, BOXSTRAP = "http://127.0.0.1:8080", "http://127.0.0.1:9090"
DEMO = 1  # the number of its project
SIZE: ViewportSize = {"width": 1280, "height": 800}


def main(home: Path, chromium: str = "/usr/bin/chromium") -> None:
    """Writes connect.png, model.png, started.png, training.png, task.png and draft.png."""
    login = json.loads((home / "login.json").read_text(encoding="utf-8"))
    label_studio = DemoProject(LABEL_STUDIO, login["token"])
    predicted = label_studio.tasks(DEMO)
    submitted = make_submitted(label_studio, predicted, home / "pictures")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{LABEL_STUDIO}/user/login/")
        page.fill("input[name=email]", login["email"])
        page.fill("input[name=password]", login["password"])
        page.click("button[type=submit], input[type=submit]")
        page.wait_for_url(lambda address: "/user/login" not in address)
        connect_and_train(page, submitted)
        task = max(
            (task for task in predicted if task["predictions"]), key=lambda task: task["predictions"][0]["score"]
        )
        open_task(page, DEMO, task)
        page.get_by_text(task["predictions"][0]["model_version"]).first.click()
        page.mouse.move(1100, 780)
        page.wait_for_timeout(3000)
        shoot(page, "task.png")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{BOXSTRAP}/projects/{submitted}")
        wait_for(submitted, lambda project: project["active_runs"][0]["progress"].get("share", 0) > 0.7)
        page.wait_for_timeout(15_000)
        shoot(page, "training.png")
        page.set_viewport_size(SIZE)
        wait_for(submitted, lambda project: project["preannotation"]["ended"])
        open_task(page, submitted, next(task for task in label_studio.tasks(submitted) if task["drafts"]))
        shoot(page, "draft.png")
        browser.close()


def make_submitted(label_studio: DemoProject, tasks: list[dict[str, Any]], pictures: Path) -> int:
    """A project of the demo's crabs and fish, whose class somebody has chosen and submitted; its number."""
    classes = ("crab", "fish")
    number = label_studio.make("Crabs and fish", label_config(classes))
    label_studio.serve_local_files(number, pictures)
    chosen = {"from_name": "class", "to_name": "image", "type": "choices"}
    label_studio.import_tasks(
        number,
        [
            {
                "data": {"image": task["data"]["image"]},
                "annotations": [{"result": [{**chosen, "value": {"choices": [task["data"]["label"]]}}]}],
            }
            for task in tasks
            if task["data"]["label"] in classes
        ],
    )
    return number


def connect_and_train(page: Page, project: int) -> None:
    """By the dialogs of Label Studio."""
    page.goto(f"{LABEL_STUDIO}/projects/{project}/settings/ml")
    page.get_by_text("Connect Model").first.click()
    page.wait_for_timeout(1500)
    page.fill("input[name=title]", "Boxstrap")
    page.fill("input[name=url]", "http://localhost:9090")
    page.get_by_text("Interactive preannotations").first.click()
    page.wait_for_timeout(800)
    shoot(page, "connect.png")
    page.get_by_text("Validate and Save").click()
    page.get_by_text("Connected").first.wait_for(timeout=60_000)
    page.get_by_label("Machine learning model options").click()
    page.wait_for_timeout(1000)
    shoot(page, "model.png")
    page.get_by_text("Start Training", exact=True).click()
    page.get_by_role("button", name="Start Training").click()
    page.get_by_text("Response:").wait_for()
    shoot(page, "started.png", {"x": 230, "y": 222, "width": 820, "height": 340})


def open_task(page: Page, project: int, task: dict[str, Any]) -> None:
    """In the Data Manager."""
    page.goto(f"{LABEL_STUDIO}/projects/{project}/data?task={task['id']}")
    page.wait_for_selector("canvas", timeout=60_000)
    page.wait_for_timeout(5000)


def wait_for(project: int, reached: Callable[[dict[str, Any]], bool]) -> None:
    """Until its training is there, by what Boxstrap says of the project."""
    while True:
        [found] = httpx.get(f"{BOXSTRAP}/api/projects", params={"project": project}).json()["projects"]
        with suppress(LookupError, TypeError):  # nothing is said of that yet
            if reached(found):
                return
        run = found["latest_run"] or {}
        if run.get("state") == "failed":
            raise RuntimeError(f"The training failed: {run['reason']}")
        time.sleep(2)


def shoot(page: Page, name: str, clip: FloatRect | None = None) -> None:
    """One picture of what is in the window, or in a part of it, in 256 colours."""
    with Image.open(io.BytesIO(page.screenshot(clip=clip))) as shot:
        shot.convert("RGB").quantize(256).save(OUT / name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
