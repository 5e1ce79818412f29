"""Makes the pages' pictures from a running `make demo`: python -m docs.screenshots build/demo

Starts another training in it, for the picture of Boxstrap's page.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page, ViewportSize, sync_playwright

from demo.project import DemoProject, label_config

OUT = Path(__file__).parent
LABEL_STUDIO, BOXSTRAP = "http://127.0.0.1:8080", "http://127.0.0.1:9090"
SIZE: ViewportSize = {"width": 1280, "height": 800}


def main(home: Path, chromium: str = "/usr/bin/chromium") -> None:
    """Writes connect.png, model.png, started.png, training.png, task.png and draft.png."""
    login = json.loads((home / "login.json").read_text(encoding="utf-8"))
    project = DemoProject(LABEL_STUDIO, login["token"])
    number = 1
    unconnected = project.make("Crabs and fish", label_config(("crab", "fish")))
    tasks = project.tasks(number)
    task = next(task for task in tasks if task["predictions"])
    drafts = [task for task in tasks if task["drafts"]]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{LABEL_STUDIO}/user/login/")
        page.fill("input[name=email]", login["email"])
        page.fill("input[name=password]", login["password"])
        page.click("button[type=submit], input[type=submit]")
        page.wait_for_url(lambda address: "/user/login" not in address)
        page.goto(f"{LABEL_STUDIO}/projects/{number}/settings/ml")
        page.wait_for_timeout(4000)
        page.get_by_label("Machine learning model options").click()
        page.wait_for_timeout(1000)
        shoot(page, "model.png")
        page.get_by_text("Start Training", exact=True).click()
        page.get_by_role("button", name="Start Training").click()
        page.get_by_text("Response:").wait_for()
        shoot(page, "started.png", {"x": 230, "y": 222, "width": 820, "height": 340})
        page.goto(f"{LABEL_STUDIO}/projects/{unconnected}/settings/ml")
        page.get_by_text("Connect Model").first.click()
        page.wait_for_timeout(1500)
        page.fill("input[name=title]", "Boxstrap")
        page.fill("input[name=url]", "http://localhost:9090")
        page.get_by_text("Interactive preannotations").first.click()
        page.wait_for_timeout(800)
        shoot(page, "connect.png")
        page.goto(f"{LABEL_STUDIO}/projects/{number}/data?task={task['id']}")
        page.wait_for_selector("canvas", timeout=60_000)
        page.wait_for_timeout(3000)
        page.get_by_text(task["predictions"][0]["model_version"]).first.click()
        page.mouse.move(1100, 650)
        page.wait_for_timeout(3000)
        shoot(page, "task.png")
        page.goto(f"{LABEL_STUDIO}/projects/{number}/data?task={drafts[0]['id']}")
        page.wait_for_selector("canvas", timeout=60_000)
        page.wait_for_timeout(5000)
        shoot(page, "draft.png")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{BOXSTRAP}/projects/{number}")
        page.wait_for_timeout(60_000)
        shoot(page, "training.png")
        browser.close()


def shoot(page: Page, name: str, clip: FloatRect | None = None) -> None:
    """One picture of what is in the window, or in a part of it, in 256 colours."""
    with Image.open(io.BytesIO(page.screenshot(clip=clip))) as shot:
        shot.convert("RGB").quantize(256).save(OUT / name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
