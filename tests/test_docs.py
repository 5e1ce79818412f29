"""The pages say what the program does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

import wsol_core
from backend.cli import app
from docs.settings import PAGE, page
from tests.test_architecture import BACKEND_FLOORS, WSOL_CORE_FLOORS

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE_DOCS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docker/README.md", "benchmarks/README.md")
PAGES = [*OUTSIDE_DOCS, *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m docs.settings`"


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_a_page_names_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    assert set(re.findall(r"(?:`|^\$ |bin/)boxstrap ([a-z]+)", text, re.MULTILINE)) <= known


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_links_to_is_there(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text(encoding="utf-8"))
    assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []


def test_what_the_readme_uses_of_the_library_is_public() -> None:
    used = set(re.findall(r"wsol_core\.(\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {"fit", "Predictor"} <= used <= set(wsol_core.__all__)


@pytest.mark.parametrize(("package", "floors"), [("wsol_core", WSOL_CORE_FLOORS), ("backend", BACKEND_FLOORS)])
def test_the_room_map_shows_the_floors_that_imports_obey(package: str, floors: Sequence[Sequence[str]]) -> None:
    [table] = re.findall(rf"^\| floor \| room.* of `{package}` .*\n(?:\|.*\n)+", ARCHITECTURE, re.MULTILINE)
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", table, re.MULTILINE)
    shown = {(int(floor), room) for floor, rooms in rows for room in re.findall(r"`(\w+)`|(the root)", rooms)}
    wanted = {(floor, room.removeprefix(f"{package}.")) for floor, rooms in enumerate(floors) for room in rooms}
    assert {(floor, name or package) for floor, (name, _) in shown} == wanted


def test_every_promise_about_security_names_tests_that_are_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \| `(tests/[\w/]+\.py)`: (.*) \|$", text, re.MULTILINE)
    named = [(path, name) for path, names in rows for name in re.findall(r"`(test_\w+)`", names)]
    assert len(named) >= len(rows) > 10
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path, _ in named}
    assert [name for path, name in named if f"def {name}(" not in sources[path]] == []


def test_every_file_and_class_of_the_architecture_exists() -> None:
    files = [path for package in ("wsol_core", "backend", "tests") for path in (ROOT / package).rglob("*.py")]
    paths = {str(path.relative_to(ROOT)) for path in files} | {path.name for path in files}
    assert set(re.findall(r"`([\w/]+\.py)`", ARCHITECTURE)) - paths == set()
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    named = set(re.findall(r"`((?:[A-Z][a-z]+)+)`", ARCHITECTURE))
    assert named and {name for name in named if f"class {name}" not in source} == set()
