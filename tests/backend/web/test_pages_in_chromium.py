"""The pages in a real Chromium, in every state, wide and narrow, light and dark: nothing is wrong with any of them.

axe looks for what people with a keyboard or a screen reader could not use. The screenshots stay in build/screenshots.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.backend.web.page_states import STATES
from tests.backend.web.serving import Site
from tests.chromium import chromium_program

pytestmark = pytest.mark.slow

SHOTS = Path(__file__).resolve().parents[3] / "build" / "screenshots"
LOOKS = {"wide light": (1300, "light"), "narrow dark": (400, "dark")}
if os.environ.get("ALL_LOOKS"):
    LOOKS |= {"wide dark": (1300, "dark"), "narrow light": (400, "light")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=["--no-sandbox"])
        yield browser
        browser.close()


def look_at(browser: Browser, url: str, name: str) -> None:
    """Everything that is asked of a page, in all looks."""
    for look, (width, scheme) in LOOKS.items():
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        said: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        answer = page.goto(url)
        page.evaluate("document.querySelectorAll('img').forEach((each) => (each.loading = 'eager'))")
        page.wait_for_timeout(300)  # for the script's first look
        page.evaluate("Promise.all([...document.images].map((each) => each.decode().catch(() => {})))")
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}, {look}.png".replace(" ", "-"), full_page=True)
        ours = f"status of {answer.status if answer else 0} "  # of a page that is not here itself
        assert not [text for text in said if ours not in text], f"{name}, {look}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name}, {look} is too wide"
        assert not findings(page), f"{name}, {look}"
        page.close()


def findings(page: Page) -> list[str]:
    """What axe finds."""
    nodes = [(each["id"], node) for each in Axe().run(page).response["violations"] for node in each["nodes"]]
    return [f"{name}: {node['html'][:200]} {node['failureSummary'][:300]}" for name, node in nodes]


@pytest.mark.parametrize("state", STATES)
def test_every_state_can_be_seen_and_used_by_everybody(
    site: Site, browser: Browser, tmp_path: Path, state: str
) -> None:
    STATES[state](site, tmp_path)
    url = str(site.client.base_url)
    look_at(browser, url, f"start {state}")
    if site.stores.projects.find("7") is not None:
        look_at(browser, f"{url}/projects/7", f"project {state}")


def test_the_report_and_a_page_that_is_not_here_can_be_used_by_everybody(
    site: Site, browser: Browser, tmp_path: Path
) -> None:
    STATES["refused version"](site, tmp_path)
    url = str(site.client.base_url)
    look_at(browser, f"{url}/projects/7/report", "report")
    look_at(browser, f"{url}/projects/99/report", "not here")


def test_a_page_says_that_boxstrap_is_away_and_keeps_what_it_showed(
    site: Site, browser: Browser, tmp_path: Path
) -> None:
    STATES["refused version"](site, tmp_path)
    for look, (width, scheme) in LOOKS.items():
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(f"{site.client.base_url}/projects/7")
        page.wait_for_timeout(300)  # for the script's first look, which writes some sentences anew
        assert "are not shown, since" in page.inner_text("main")
        page.route("**/api/**", lambda route: route.abort())
        page.wait_for_selector("#message:not([hidden])")
        assert "does not answer" in page.inner_text("#message")
        assert "boxstrap-7-0002" in page.inner_text("main")
        page.screenshot(path=SHOTS / f"away, {look}.png".replace(" ", "-"))
        assert not findings(page), look
        page.close()


def test_a_policy_is_changed_on_the_page_and_a_wrong_value_is_refused_with_the_reason(
    site: Site, browser: Browser, tmp_path: Path
) -> None:
    STATES["unlabelled"](site, tmp_path)
    page = browser.new_page()
    page.goto(f"{site.client.base_url}/projects/7")
    page.fill("input[name=cron]", "every day")
    page.click("form button")
    page.wait_for_selector("#message:not([hidden])")
    assert "cron is 'every day'" in page.inner_text("#message")
    page.fill("input[name=cron]", "")
    page.fill("input[name=every]", "20")
    page.select_option("select[name=sampling]", "uncertainty")
    page.fill("input[name=score_threshold]", "0.4")
    page.click("form button")
    page.wait_for_selector("[data-saved]:has-text('Saved.')")
    policy = site.stores.policies.find("7")
    assert (policy.every, policy.sampling, policy.score_threshold) == (20, "uncertainty", 0.4)
    assert "0 of 20 new corrections" in page.inner_text("main") or "first training waits" in page.inner_text("main")
    page.close()
