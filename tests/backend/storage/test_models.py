"""The registry: versions that are whole or not there, whoever is killed and however full the disk is."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backend.errors import NotFoundError, RegistryError
from backend.storage.models import ModelRegistry
from backend.storage.version_facts import VersionFacts
from wsol_core.errors import StorageError

ROOT = Path(__file__).resolve().parents[3]
PROJECT = "7"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What a registry needs of a finished training; it does not look inside."""
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "model.json", "history.jsonl"):
        (folder / name).write_bytes(name.encode() * 1000)
    (folder / "checkpoint.pt").write_bytes(b"not for the registry")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def names(registry: ModelRegistry) -> list[str]:
    return [version.name for version in registry.versions(PROJECT)]


def rubbish(registry: ModelRegistry) -> list[str]:
    """What lies in the project's folder besides versions and the registry's own files."""
    known = {*names(registry), "CURRENT", "RETIRED", ".lock"}
    return sorted(path.name for path in (registry.root / PROJECT).iterdir() if path.name not in known)


def test_before_the_first_version_the_label_says_so(registry: ModelRegistry) -> None:
    assert registry.current(PROJECT) is None
    assert registry.label(PROJECT) == "boxstrap-7-untrained"
    assert (registry.versions(PROJECT), registry.projects()) == ([], [])


def test_a_published_version_is_live_and_holds_model_manifest_and_facts(
    registry: ModelRegistry, model: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("{}\n")
    version = registry.publish(PROJECT, model, VersionFacts(run="a", pictures=3), manifest)
    assert version == registry.current(PROJECT) == registry.label(PROJECT) == "boxstrap-7-0001"
    folder = registry.folder(PROJECT, version)
    files = {"model.safetensors", "model.json", "history.jsonl", "manifest.jsonl", "version.json"}
    assert {path.name for path in folder.iterdir()} == files
    (published,) = registry.versions(PROJECT)
    assert (published.facts.run, published.facts.pictures, published.facts.parent) == ("a", 3, None)
    assert registry.projects() == [PROJECT]


def test_the_next_version_names_the_live_one_as_its_parent(registry: ModelRegistry, model: Path) -> None:
    for run in "abc":
        registry.publish(PROJECT, model, VersionFacts(run=run))
    registry.activate(PROJECT, "boxstrap-7-0001")
    registry.publish(PROJECT, model, VersionFacts(run="d"))
    assert registry.versions(PROJECT)[-1].facts.parent == "boxstrap-7-0001"


def test_versions_come_in_the_order_of_their_numbers(registry: ModelRegistry, model: Path) -> None:
    for run in range(11):
        registry.publish(PROJECT, model, VersionFacts(run=str(run)))
    assert names(registry) == [f"boxstrap-7-{number:04}" for number in range(1, 12)]


def test_the_same_run_is_published_once(registry: ModelRegistry, model: Path) -> None:
    first = registry.publish(PROJECT, model, VersionFacts(run="a"))
    assert registry.publish(PROJECT, model, VersionFacts(run="a")) == first
    assert names(registry) == [first]


def test_a_version_can_be_published_without_going_live(registry: ModelRegistry, model: Path) -> None:
    first = registry.publish(PROJECT, model, VersionFacts(run="a"))
    second = registry.publish(PROJECT, model, VersionFacts(run="b"), live=False)
    assert (registry.current(PROJECT), names(registry)) == (first, [first, second])


def test_what_a_killed_publisher_left_becomes_live_unless_somebody_chose_another(
    registry: ModelRegistry, model: Path
) -> None:
    first = registry.publish(PROJECT, model, VersionFacts(run="a"))
    second = registry.publish(PROJECT, model, VersionFacts(run="b"), live=False)
    registry.ensure_live(PROJECT, second, over="boxstrap-7-0000")
    assert registry.current(PROJECT) == first
    registry.ensure_live(PROJECT, second, over=first)
    assert registry.current(PROJECT) == second


def test_version_json_of_other_versions_of_boxstrap_is_read(registry: ModelRegistry, model: Path) -> None:
    version = registry.publish(PROJECT, model, VersionFacts(run="a"))
    (registry.folder(PROJECT, version) / "version.json").write_text('{"run": "a", "classes": null, "colour": "red"}')
    assert registry.facts(PROJECT, version) == VersionFacts(run="a")


def test_an_older_version_can_be_made_live_again(registry: ModelRegistry, model: Path) -> None:
    first = registry.publish(PROJECT, model, VersionFacts(run="a"))
    registry.publish(PROJECT, model, VersionFacts(run="b"))
    registry.activate(PROJECT, first)
    assert registry.current(PROJECT) == first


def test_only_what_exists_can_be_made_live(registry: ModelRegistry, model: Path) -> None:
    first = registry.publish(PROJECT, model, VersionFacts(run="a"))
    with pytest.raises(NotFoundError, match=f"no version 'boxstrap-7-0009'; it has: {first}"):
        registry.activate(PROJECT, "boxstrap-7-0009")
    assert registry.current(PROJECT) == first


def test_asking_for_a_version_of_an_unknown_project_makes_no_folder(registry: ModelRegistry) -> None:
    for call in (registry.activate, registry.delete):
        with pytest.raises(NotFoundError, match="Project 8 has no version 'boxstrap-8-0001'; it has: none"):
            call("8", "boxstrap-8-0001")
    assert not registry.root.exists()


def test_the_live_version_cannot_be_deleted(registry: ModelRegistry, model: Path) -> None:
    first = registry.publish(PROJECT, model, VersionFacts(run="a"))
    with pytest.raises(RegistryError, match="is live; activate another"):
        registry.delete(PROJECT, first)
    assert names(registry) == [first]


def test_the_number_of_a_deleted_version_is_never_given_again(registry: ModelRegistry, model: Path) -> None:
    first = registry.publish(PROJECT, model, VersionFacts(run="a"))
    second = registry.publish(PROJECT, model, VersionFacts(run="b"))
    registry.activate(PROJECT, first)
    registry.delete(PROJECT, second)
    assert registry.publish(PROJECT, model, VersionFacts(run="c")) == "boxstrap-7-0003"
    assert names(registry) == [first, "boxstrap-7-0003"]
    assert rubbish(registry) == []


def test_an_unfinished_model_is_not_published(registry: ModelRegistry, model: Path) -> None:
    (model / "model.json").unlink()
    with pytest.raises(RegistryError, match=r"has no model\.json; finish its training first"):
        registry.publish(PROJECT, model, VersionFacts(run="a"))
    assert registry.current(PROJECT) is None


@pytest.mark.parametrize("name", ["../x", "..", ".", "", ".hidden", "a/b", "/etc", "a\0b", "x" * 101, "a\n"])
def test_names_that_lead_elsewhere_are_refused(registry: ModelRegistry, model: Path, tmp_path: Path, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: registry.publish(name, model, VersionFacts()),
        lambda: registry.label(name),
        lambda: registry.versions(name),
        lambda: registry.activate(PROJECT, name),
        lambda: registry.delete(PROJECT, name),
        lambda: registry.folder(PROJECT, name),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            call()
    assert {path.name for path in tmp_path.iterdir()} <= {"models", "run"}


def test_the_registrys_own_files_are_no_versions(registry: ModelRegistry, model: Path) -> None:
    registry.publish(PROJECT, model, VersionFacts(run="a"))
    for name in ("CURRENT", "RETIRED"):
        with pytest.raises(NotFoundError):
            registry.folder(PROJECT, name)


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# What fails, and at which of its calls while one version is published.
FULL = [("shutil.copyfile", 2), ("os.fsync", 1), ("os.fsync", 3), ("os.fsync", 5), ("os.fsync", 6), ("os.fsync", 7)]
FULL += [
    ("pathlib.Path.rename", 1),
    ("pathlib.Path.replace", 1),
    ("pathlib.Path.replace", 2),
    ("pathlib.Path.mkdir", 2),
]


@pytest.mark.parametrize(("what", "call"), FULL)
def test_a_full_disk_leaves_everything_as_it_was(
    registry: ModelRegistry, model: Path, monkeypatch: pytest.MonkeyPatch, what: str, call: int
) -> None:
    live = registry.publish(PROJECT, model, VersionFacts(run="a"))
    owner_name, _, function = what.rpartition(".")
    owner: Any = {"shutil": shutil, "os": __import__("os"), "pathlib.Path": Path}[owner_name]
    real, calls = getattr(owner, function), []

    def fails_once(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return full_disk() if len(calls) == call else real(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(owner, function, fails_once)
        with pytest.raises(StorageError, match=r"No space left on device.*make room"):
            registry.publish(PROJECT, model, VersionFacts(run="b"))
    assert (registry.current(PROJECT), names(registry), rubbish(registry)) == (live, [live], [])
    assert registry.publish(PROJECT, model, VersionFacts(run="b")) == "boxstrap-7-0002"


DYING = """
import os, shutil, sys
from pathlib import Path
from backend.storage.models import ModelRegistry
from backend.storage.version_facts import VersionFacts

point, seen = int(sys.argv[3]), 0

def dies(function):
    def call(*args, **kwargs):
        global seen
        seen += 1
        if seen == point:
            os.kill(os.getpid(), 9)
        return function(*args, **kwargs)
    return call

# Every step that leaves something on the disk.
os.fsync, shutil.copyfile, shutil.rmtree = dies(os.fsync), dies(shutil.copyfile), dies(shutil.rmtree)
for name in ("mkdir", "rename", "replace", "unlink"):
    setattr(Path, name, dies(getattr(Path, name)))
print(ModelRegistry(Path(sys.argv[1])).publish("7", Path(sys.argv[2]), VersionFacts(run="b")))
"""


@pytest.mark.slow
def test_a_publisher_killed_at_any_point_leaves_a_whole_version_or_none(registry: ModelRegistry, model: Path) -> None:
    live = registry.publish(PROJECT, model, VersionFacts(run="a"))
    whole = {path.name: path.read_bytes() for path in registry.folder(PROJECT, live).iterdir()}

    def killed_at(point: int) -> bool:
        root = registry.root.with_name(f"models-{point}")
        shutil.copytree(registry.root, root)
        copy = ModelRegistry(root)
        command = [sys.executable, "-c", DYING, str(root), str(model), str(point)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
        found = names(copy)
        assert done.returncode in (0, -9), done.stderr
        assert found in ([live], [live, "boxstrap-7-0002"])
        assert copy.current(PROJECT) in found
        for version in copy.versions(PROJECT):
            files = {path.name: path.read_bytes() for path in version.folder.iterdir()}
            assert {**files, "version.json": b""} == {**whole, "version.json": b""}
            assert json.loads(files["version.json"])["version"] == version.name
        assert copy.publish(PROJECT, model, VersionFacts(run="b")) == copy.current(PROJECT) == "boxstrap-7-0002"
        assert names(copy) == [live, "boxstrap-7-0002"]
        assert copy.publish(PROJECT, model, VersionFacts(run="c")) == "boxstrap-7-0003"
        assert rubbish(copy) == []
        return done.returncode == -9

    with ThreadPoolExecutor(2) as pool:
        killed = list(pool.map(killed_at, range(1, 25)))
    assert killed.count(True) >= 10
    assert not killed[-1]


def test_several_publishers_at_once_give_every_run_its_own_version(registry: ModelRegistry, model: Path) -> None:
    runs = [f"run-{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        given = list(pool.map(lambda run: registry.publish(PROJECT, model, VersionFacts(run=run)), runs * 2))
    assert given[:12] == given[12:]
    assert sorted(given[:12]) == names(registry)
    assert {version.name: version.facts.run for version in registry.versions(PROJECT)} == dict(
        zip(given, runs * 2, strict=True)
    )
    assert registry.current(PROJECT) in given


def damaged(registry: ModelRegistry, version: str, name: str) -> Path:
    path = registry.folder(PROJECT, version) / name
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "version.json"])
def test_where_the_live_version_is_not_whole_the_newest_whole_one_is_live(
    registry: ModelRegistry, model: Path, name: str
) -> None:
    first, second, third = (registry.publish(PROJECT, model, VersionFacts(run=run)) for run in "abc")
    content = damaged(registry, third, name)
    assert registry.current(PROJECT) == second
    damaged(registry, second, "model.json")
    assert registry.current(PROJECT) == first
    shutil.copyfile(registry.folder(PROJECT, first) / name, content)
    assert registry.current(PROJECT) == third


@pytest.mark.parametrize("names", [b"boxstrap-7-0099", b"", b"../8/boxstrap-8-0001", b"\xff\xfe", b"a\nb"])
def test_a_current_that_names_nothing_is_as_if_it_named_the_newest_whole_version(
    registry: ModelRegistry, model: Path, names: bytes
) -> None:
    newest = [registry.publish(PROJECT, model, VersionFacts(run=run)) for run in "ab"][-1]
    (registry.root / PROJECT / "CURRENT").write_bytes(names)
    assert registry.current(PROJECT) == newest
    registry.activate(PROJECT, newest)
    assert (registry.root / PROJECT / "CURRENT").read_text() == newest


def test_a_version_that_cannot_be_loaded_is_not_live_until_its_files_are_replaced(
    registry: ModelRegistry, model: Path
) -> None:
    older, live = (registry.publish(PROJECT, model, VersionFacts(run=run)) for run in "ab")
    registry.refuse(PROJECT, live, "Its checksum is wrong.")
    for other in (registry, ModelRegistry(registry.root)):
        assert other.current(PROJECT) == older
        with pytest.raises(RegistryError, match="Its checksum is wrong"):
            other.activate(PROJECT, live)
    shutil.copyfile(model / "model.safetensors", registry.folder(PROJECT, live) / "model.safetensors")
    assert ModelRegistry(registry.root).current(PROJECT) == live


def test_folders_of_others_are_no_projects_and_no_versions(registry: ModelRegistry, model: Path) -> None:
    version = registry.publish(PROJECT, model, VersionFacts(run="a"))
    for name in ("lost+found", "backup", ".snapshot", "७"):
        (registry.root / name).mkdir()
    shutil.copytree(registry.folder(PROJECT, version), registry.root / PROJECT / f"{version} (copy)")
    assert (registry.projects(), names(registry)) == ([PROJECT], [version])


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "mount the file system for writing"),
        (errno.EACCES, "let this user write there"),
        (errno.ESTALE, "mount or make the folder"),
    ],
)
def test_what_to_do_about_a_store_that_refuses_fits_the_reason(
    registry: ModelRegistry, model: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "it says no")

    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(StorageError, match=step) as raised:
        registry.publish(PROJECT, model, VersionFacts(run="a"))
    assert raised.value.is_full == (number == errno.ENOSPC)
