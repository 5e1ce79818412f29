"""`boxstrap report`: tables, JSON and a page, and what it says where there is nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from backend.cli import main
from backend.settings import Settings
from backend.storage.ledger_rows import ClassDoubt
from backend.storage.projects import Project
from backend.storage.stores import Stores, open_stores
from backend.storage.version_facts import VersionFacts
from tests.backend.support.command_line import error_of
from tests.backend.support.ledger import FIRST, an_object, row, scored

NASTY = '<script>alert("x")</script> & {{ 7 * 7 }}'


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Project 7 with a live version and a folder of its own."""
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    stores = open_stores(Settings.from_env())
    stores.projects.remember(Project("7", "<View/>", title="Fish"))
    for name in ("model.safetensors", "model.json"):
        (tmp_path / name).write_text("{}")
    stores.models.publish("7", tmp_path, VersionFacts(run="a", pictures=12))
    return stores


class Tags(HTMLParser):
    """Names of all tags, and every attribute that could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "srcset", "data") or name.startswith("on")]


def page_of(tmp_path: Path, *arguments: str) -> str:
    assert main(["report", "7", "--out", str(tmp_path / "out"), *arguments]) == 0
    return (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_without_a_review_it_says_what_to_do(stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "7"]) == 0
    said = capsys.readouterr()
    assert "nobody has reviewed a prediction" in said.out and "Next: open predicted tasks" in said.out
    assert (said.err, "Versions" in said.out) == ("", False)


def test_an_unknown_project_is_an_error_that_names_the_known(
    stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no project 'x'; it knows: 7." in error_of(capsys, "report", "x")


@pytest.mark.parametrize("risk", ["0", "1", "much"])
def test_a_risk_is_a_share(stores: Stores, capsys: pytest.CaptureFixture[str], risk: str) -> None:
    assert "--risk" in error_of(capsys, "report", "7", "--risk", risk, code=2)


def test_tables_show_versions_classes_times_scores_and_doubts(
    stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    stores.feedback.put("7", [*scored(), row(99, an_object("deleted"), lead_time_s=8.4)])
    assert main(["report", "7"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert (
        lines[0] == "People have reviewed the predictions of 21 tasks: 14 (67 %) were accepted untouched, 7 corrected."
    )
    assert any(
        re.fullmatch(rf"{FIRST} live \S+ \S+ - 21 67 % 21 67 % 0.10 0.24 0.00 0 0 0 0.94 - 0", line) for line in lines
    )
    assert "fish 21 67 % 21 67 % 0.10 0.24 0.00 0 0 0 0.94 -" in lines
    assert "with a prediction 1 8.4 s 8.4 s 0" in lines
    assert "0.2 to 0.4 4 0.28 25 %" in lines
    assert "To set it: boxstrap policy 7 --score-threshold 0.25" in lines
    assert "99 fish all deleted -" in lines


def test_json_has_everything(stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    stores.feedback.put("7", scored())
    assert main(["report", "7", "--json", "--risk", "0.1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["project"], found["total"]["tasks"], found["page"]) == ("7", 20, None)
    assert (found["scores"]["target_risk"], found["scores"]["threshold"]["threshold"]) == (0.1, 0.3)


def test_the_page_is_one_file_that_loads_nothing(
    stores: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = [row(200 + n, an_object("added"), version=None, lead_time_s=20 + n) for n in range(5)]
    stores.feedback.put("7", [*(replace(each, lead_time_s=6.0) for each in scored()), *drawn])
    page = page_of(tmp_path)
    assert f"The page: {tmp_path / 'out' / 'index.html'}" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]
    tags = Tags(page)
    assert tags.loads == [] and "script" not in tags.names and "://" not in page
    assert tags.names.count("svg") == 6  # five plots, and the sign in the header
    for title in ("Fish", "Accepted untouched", "Edits per task", "Labelling time", "Calibration", "saved, by medians"):
        assert title in page


def test_every_plot_is_whole_and_inside_its_frame(stores: Stores, tmp_path: Path) -> None:
    times = [row(200 + n, an_object("added"), version=None, lead_time_s=20 + n) for n in range(5)]
    stores.feedback.put("7", [*scored(), *times])
    plots = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page_of(tmp_path), re.DOTALL)[1:]]
    assert len(plots) == 5
    for plot in plots:
        _, _, width, height = (float(value) for value in plot.attrib["viewBox"].split())
        points = list(plot.iter("circle"))
        assert all(0 <= float(each.attrib["cx"]) <= width for each in points)
        assert all(0 <= float(each.attrib["cy"]) <= height for each in points)
        assert "nan" not in ElementTree.tostring(plot, encoding="unicode").lower()


def test_text_from_projects_is_text_on_the_page(stores: Stores, tmp_path: Path) -> None:
    stores.projects.remember(Project("7", "<View/>", title=NASTY))
    doubt = ClassDoubt((NASTY,), NASTY + "?", 0.5)
    stores.feedback.put("7", [row(1, an_object("accepted", label=NASTY), labels=(NASTY,), version=NASTY)])
    stores.feedback.set_doubt("7", 1, doubt)
    page = page_of(tmp_path)
    assert "script" not in Tags(page).names and "{{ 7 * 7 }}" in page
    assert page.count("<script>") == 0 and page.count("&lt;script&gt;") >= 5


def test_a_page_without_a_review_says_so(stores: Stores, tmp_path: Path) -> None:
    page = page_of(tmp_path, "--json")
    assert "nobody has reviewed a prediction" in page and Tags(page).names.count("svg") == 1


def test_a_page_that_cannot_be_written_is_an_error(
    stores: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert "could not be written to" in error_of(capsys, "report", "7", "--out", tmp_path / "file" / "out")
