"""What is remembered of projects."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import NotFoundError
from backend.storage.projects import Project, ProjectStore


@pytest.fixture
def projects(tmp_path: Path) -> ProjectStore:
    return ProjectStore(tmp_path / "projects")


def test_a_project_is_found_as_it_was_remembered(projects: ProjectStore) -> None:
    project = Project("7", "<View/>", "http://studio")
    projects.remember(project)
    assert projects.find("7") == project
    assert projects.find("8") is None


def test_the_last_word_counts(projects: ProjectStore) -> None:
    projects.remember(Project("7", "<View/>"))
    projects.remember(Project("7", "<View><Image/></View>"))
    assert projects.all() == [Project("7", "<View><Image/></View>")]


def test_what_is_known_already_is_not_written_again(projects: ProjectStore) -> None:
    projects.remember(Project("7", "<View/>"))
    before = (projects.root / "7.json").stat()
    projects.remember(Project("7", "<View/>"))
    after = (projects.root / "7.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_projects_come_by_number(projects: ProjectStore) -> None:
    assert projects.all() == []
    for number in ("10", "9", "1"):
        projects.remember(Project(number, ""))
    assert [project.id for project in projects.all()] == ["1", "9", "10"]


def test_a_file_of_something_else_hides_no_project(projects: ProjectStore) -> None:
    projects.remember(Project("7", ""))
    (projects.root / "a person's notes.json").write_text("{}")
    assert [project.id for project in projects.all()] == ["7"]


@pytest.mark.parametrize("name", ["../x", "..", "", "a/b"])
def test_names_that_lead_elsewhere_are_refused(projects: ProjectStore, name: str) -> None:
    with pytest.raises(NotFoundError):
        projects.find(name)
    with pytest.raises(NotFoundError):
        projects.remember(Project(name, ""))


def test_a_torn_file_is_as_none_and_is_written_anew(projects: ProjectStore) -> None:
    projects.remember(Project("7", ""))
    (projects.root / "7.json").write_text("{")
    assert projects.find("7") is None
    projects.remember(Project("7", "<View/>"))
    assert projects.find("7") == Project("7", "<View/>")
