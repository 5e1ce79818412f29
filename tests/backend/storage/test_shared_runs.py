"""Runs of several machines: a record that all change, and files that go where the run goes on."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.errors import NotFoundError
from backend.storage.bucket import Bucket
from backend.storage.runs import RunState
from backend.storage.shared_runs import SharedRunStore

pytestmark = pytest.mark.slow
PROJECT = "7"


@pytest.fixture
def machines(bucket: Bucket, tmp_path: Path) -> tuple[SharedRunStore, SharedRunStore]:
    one, other = (SharedRunStore(bucket, tmp_path / name) for name in ("one", "other"))
    return one, other


def test_a_run_is_known_on_every_machine_and_ends_once(machines: tuple[SharedRunStore, SharedRunStore]) -> None:
    one, other = machines
    run = one.create(PROJECT, {"epochs": 2}, "by hand")
    assert other.read(run.id) == other.find(run.id) == run
    assert (other.names(), other.of_project(PROJECT), other.of_project("8")) == ([run.id], [run], [])
    other.update(run.id, state=RunState.CANCELLED, reason="by a person")
    assert one.update(run.id, state=RunState.SUCCEEDED).reason == "by a person"
    assert one.read(run.id).state == RunState.CANCELLED
    with pytest.raises(NotFoundError, match="There is no run 'other'"):
        one.read("other")
    with pytest.raises(NotFoundError):
        one.update("other", reason="")


def test_changes_by_several_machines_are_all_made(bucket: Bucket, tmp_path: Path) -> None:
    run = SharedRunStore(bucket, tmp_path / "0").create(PROJECT, {})

    def change(number: int) -> None:
        changes = {"reason": "a"} if number % 2 else {"pictures": 3}
        SharedRunStore(bucket, tmp_path / str(number)).update(run.id, **changes)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(4)))
    found = SharedRunStore(bucket, tmp_path / "late").read(run.id)
    assert (found.reason, found.pictures) == ("a", 3)


def test_the_files_of_a_run_go_where_it_goes_on(
    machines: tuple[SharedRunStore, SharedRunStore], bucket: Bucket
) -> None:
    one, other = machines
    run = one.create(PROJECT, {}).id
    with one.working_on(run):
        files = {"manifest.jsonl": b"{}", "pictures/1": os.urandom(5000), "masks/1-0.png": b"mask"}
        files |= {"model/checkpoint.pt": b"at step 9", "model/history.jsonl": b"loss"}
        write(one.folder(run), files)
    with other.working_on(run):
        assert read(other.folder(run)) == files
        write(other.folder(run), {"model/checkpoint.pt": b"at step 20"})
    with one.working_on(run):  # what it had itself is older
        assert read(one.folder(run)) == {**files, "model/checkpoint.pt": b"at step 20"}
        write(one.folder(run), {"model/model.json": b"{}"})
        (one.folder(run) / "model" / "checkpoint.pt").unlink()
    with other.working_on(run):
        assert set(read(other.folder(run))) == {*files, "model/model.json"} - {"model/checkpoint.pt"}
        other.update(run, state=RunState.SUCCEEDED)
    assert bucket.tags("run-files/") == {}
    assert one.read(run).state == RunState.SUCCEEDED


def test_torn_files_are_left_out_and_made_anew(
    machines: tuple[SharedRunStore, SharedRunStore], bucket: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = machines
    run = one.create(PROJECT, {}).id
    with one.working_on(run):
        write(one.folder(run), {"manifest.jsonl": b"{}", "pictures/1": b"1", "model/checkpoint.pt": os.urandom(5000)})
    (tmp_path / "torn").write_bytes(b"torn" * 1000)
    bucket.send(tmp_path / "torn", f"run-files/{run}/model.tar")
    with other.working_on(run):
        assert set(read(other.folder(run))) == {"manifest.jsonl", "pictures/1"}
    assert "model.tar in the bucket is torn, and is left out" in caplog.text


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(".")}
