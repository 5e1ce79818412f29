"""The registry of several machines: two of them share a real S3 bucket, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.errors import LiveVersionChangedError, NotFoundError, RegistryError
from backend.storage.bucket import Bucket
from backend.storage.shared_folder import SharedFolder
from backend.storage.shared_models import SharedModelRegistry
from backend.storage.version_facts import VersionFacts
from wsol_core.errors import StorageError

pytestmark = pytest.mark.slow
PROJECT, FIRST, SECOND = "7", "boxstrap-7-0001", "boxstrap-7-0002"


@pytest.fixture
def machines(bucket: Bucket, tmp_path: Path) -> tuple[SharedModelRegistry, SharedModelRegistry]:
    one, other = (SharedModelRegistry(bucket, tmp_path / name) for name in ("one", "other"))
    return one, other


def trained(folder: Path, content: str = "weights") -> Path:
    """What a registry needs of a finished training; it does not look inside."""
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "model.json", "history.jsonl"):
        (folder / name).write_text(f"{name} {content}" * 1000)
    return folder


def published(machine: SharedModelRegistry, folder: Path, run: str, over: str | None = "any version") -> str:
    return machine.publish(PROJECT, trained(folder, run), VersionFacts(run=run), over=over)


def test_what_one_machine_publishes_the_other_one_has(
    machines: tuple[SharedModelRegistry, SharedModelRegistry], tmp_path: Path
) -> None:
    one, other = machines
    assert (other.current(PROJECT), other.projects(), other.versions(PROJECT)) == (None, [], [])
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("{}\n")
    model = trained(tmp_path / "model")
    assert one.publish(PROJECT, model, VersionFacts(run="a", pictures=3), manifest) == FIRST
    assert (other.current(PROJECT), other.projects(), other.of_run(PROJECT, "a")) == (FIRST, [PROJECT], FIRST)
    assert other.facts(PROJECT, FIRST).pictures == 3
    assert not (other.root / PROJECT / FIRST / "model.safetensors").exists()  # it comes when it is needed
    files = {path.name: path.read_bytes() for path in other.folder(PROJECT, FIRST).iterdir()}
    assert set(files) == {"model.safetensors", "model.json", "history.jsonl", "manifest.jsonl", "version.json"}
    assert files["model.safetensors"] == (model / "model.safetensors").read_bytes()
    assert other.publish(PROJECT, model, VersionFacts(run="a")) == FIRST  # the same run is published once
    assert published(other, tmp_path / "b", "b") == SECOND
    assert (one.current(PROJECT), one.facts(PROJECT, SECOND).parent) == (SECOND, FIRST)


def test_a_choice_counts_everywhere_and_a_deleted_name_is_not_given_again(
    machines: tuple[SharedModelRegistry, SharedModelRegistry], bucket: Bucket, tmp_path: Path
) -> None:
    one, other = machines
    for run in "ab":
        published(one, tmp_path / run, run)
    other.activate(PROJECT, FIRST)
    assert one.current(PROJECT) == FIRST
    with pytest.raises(RegistryError, match="is live"):
        other.delete(PROJECT, FIRST)
    one.folder(PROJECT, SECOND)
    other.delete(PROJECT, SECOND)
    assert [version.name for version in one.versions(PROJECT)] == [FIRST]
    assert not (one.root / PROJECT / SECOND).exists()
    with pytest.raises(NotFoundError):
        one.folder(PROJECT, SECOND)
    assert published(one, tmp_path / "c", "c") == "boxstrap-7-0003"
    assert len(bucket.tags("blobs/")) == 6  # three files a version


def test_what_was_judged_against_another_live_version_is_not_published(
    machines: tuple[SharedModelRegistry, SharedModelRegistry], tmp_path: Path
) -> None:
    one, other = machines
    published(one, tmp_path / "a", "a", over=None)
    with pytest.raises(LiveVersionChangedError):
        published(other, tmp_path / "b", "b", over=None)
    other.ensure_live(PROJECT, FIRST, over=None)
    assert published(other, tmp_path / "c", "c", over=FIRST) == SECOND
    one.ensure_live(PROJECT, FIRST, over=None)
    assert one.current(PROJECT) == SECOND  # somebody has chosen that meanwhile


def test_machines_that_publish_at_once_get_names_of_their_own(bucket: Bucket, tmp_path: Path) -> None:
    def publish(number: int) -> str:
        machine = SharedModelRegistry(bucket, tmp_path / f"machine-{number}")
        return published(machine, tmp_path / f"model-{number}", str(number))

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(publish, range(4)))
    assert sorted(names) == [f"boxstrap-7-{number:04}" for number in range(1, 5)]
    late = SharedModelRegistry(bucket, tmp_path / "late")
    assert {version.facts.run for version in late.versions(PROJECT)} == set("0123")
    assert late.current(PROJECT) in names


def test_a_copy_that_was_damaged_here_is_fetched_again(
    machines: tuple[SharedModelRegistry, SharedModelRegistry], bucket: Bucket, tmp_path: Path
) -> None:
    one, other = machines
    published(one, tmp_path / "a", "a")
    weights = other.folder(PROJECT, FIRST) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"?")
    other.refuse(PROJECT, FIRST, "its checksum is another")
    assert other.current(PROJECT) == FIRST
    assert (other.folder(PROJECT, FIRST) / "model.safetensors").read_bytes() == whole
    (tmp_path / "torn").write_text("torn")
    for name in bucket.tags("blobs/"):
        bucket.send(tmp_path / "torn", name)
    weights.unlink()
    with pytest.raises(StorageError, match=r"model\.safetensors of boxstrap-7-0001, is missing or damaged; restore it"):
        other.folder(PROJECT, FIRST)


def test_reading_goes_on_while_the_bucket_is_away_and_writing_does_not(
    machines: tuple[SharedModelRegistry, SharedModelRegistry],
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, _ = machines
    published(one, tmp_path / "a", "a")
    one.folder(PROJECT, FIRST)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    cut = SharedModelRegistry(Bucket(bucket.url), tmp_path / "one")
    assert cut.current(PROJECT) == FIRST
    assert (cut.folder(PROJECT, FIRST) / "model.json").is_file()
    assert caplog.text.count("Meanwhile what this machine knows counts.") == 1
    with pytest.raises(StorageError, match="cannot be"):
        published(cut, tmp_path / "b", "b")


def test_names_that_lead_elsewhere_are_not_copied(bucket: Bucket, tmp_path: Path) -> None:
    for name in ("names/a", "names/../b", "names/c//d", "names/.e"):
        bucket.write(name, b"1", over=None)
    folder = SharedFolder(bucket, "names", tmp_path / "home" / "names")
    folder.pull_all(lambda name: True)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == ["home/names/a"]


def test_changes_at_the_same_time_are_all_made(bucket: Bucket, tmp_path: Path) -> None:
    def add(number: int) -> None:
        folder = SharedFolder(bucket, "names", tmp_path / str(number))
        folder.change("all", lambda text: "\n".join([*(text or "").split(), str(number)]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    folder = SharedFolder(bucket, "names", tmp_path / "late")
    folder.pull("all")
    assert sorted((tmp_path / "late" / "all").read_text().split()) == sorted("01234567")
