"""The index of what a project teaches says at each training what Label Studio says, and reads what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.jobs import read_samples as module
from backend.jobs.context import JobContext, job_context
from backend.jobs.manifest import frozen_manifest, read_pictures
from backend.jobs.read_samples import read_samples
from backend.settings import Settings
from backend.storage.sample_index import SampleIndex
from tests.backend.support.fake_project import PROJECT, FakeLabelStudio, choice, drawn_box

LATER = "2026-01-02T00:00:00.000000Z"


@pytest.fixture
def context(settings: Settings) -> Iterator[JobContext]:
    job_context.cache_clear()
    context = job_context()
    assert context.settings == settings
    yield context
    context.label_studio().close()
    job_context.cache_clear()


def labels(context: JobContext) -> dict[int, tuple[str, ...]]:
    """What the tasks teach, read anew."""
    return labels_of(read_samples(context, PROJECT))


def labels_of(index: SampleIndex) -> dict[int, tuple[str, ...]]:
    return {picture.task: picture.labels for page in index.pages() for picture in page}


def test_a_second_training_reads_what_has_changed_and_nothing_else(
    context: JobContext, label_studio: FakeLabelStudio
) -> None:
    before = labels(context)
    assert len(before) == len(label_studio.tasks)
    seen, unseen = label_studio.tasks[2], label_studio.tasks[3]
    for task in (seen, unseen):
        task["annotations"] = [{**choice("fish"), "id": 9}, drawn_box("fish")]
    seen["updated_at"] = LATER
    assert labels(context) == {**before, seen["id"]: ("fish",)}


def test_tasks_that_are_gone_or_were_missed_are_known_by_their_number(
    context: JobContext, label_studio: FakeLabelStudio
) -> None:
    before = labels(context)
    label_studio.tasks[0] = {**label_studio.tasks.pop(), "id": 50, "updated_at": "1960-01-01T00:00:00.000000Z"}
    kept = {number: found for number, found in before.items() if number in {t["id"] for t in label_studio.tasks}}
    assert labels(context) == {**kept, 50: before[max(before)]} and len(kept) == len(before) - 2


def test_another_labeling_config_has_all_tasks_read_again(context: JobContext, label_studio: FakeLabelStudio) -> None:
    before = labels(context)
    label_studio.config = label_studio.config.replace("fish", "pike")
    assert set(before.values()) == {("fish",), ("ladybird",)} and set(labels(context).values()) == {("ladybird",)}


def test_a_reading_that_was_killed_goes_on_where_it_was(
    context: JobContext, label_studio: FakeLabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    told: list[int] = []

    def die(done: int, most: int) -> None:
        told.append(done)
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_samples(context, PROJECT, die)
    changed = label_studio.tasks[0]
    changed |= {"annotations": [{**choice("fish"), "id": 9}], "updated_at": LATER}
    resumed: list[int] = []
    found = labels_of(read_samples(context, PROJECT, lambda done, _: resumed.append(done)))
    assert (told, resumed[0]) == ([3, 6], 6)  # the page that was being read once more
    assert found[changed["id"]] == ("fish",) and len(found) == len(label_studio.tasks)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(2000)])
def test_a_broken_index_is_made_again(context: JobContext, content: bytes) -> None:
    before = labels(context)
    path = context.settings.home / "samples" / f"{PROJECT}.sqlite"
    path.write_bytes(content)
    assert labels(context) == before


@pytest.mark.slow
def test_manifests_are_the_same_from_the_index_and_a_picture_may_come_later(
    context: JobContext, label_studio: FakeLabelStudio
) -> None:
    corrected, late = label_studio.tasks[1], label_studio.tasks[4]
    corrected["annotations"] = [{**choice("fish"), "id": 9}, drawn_box("fish")]
    name = late["data"]["image"]
    label_studio.files[name], there = Path("missing.jpg"), label_studio.files[name]

    def manifest() -> list[Any]:
        pictures = read_pictures(frozen_manifest(context, context.stores.runs.create(PROJECT, {})))
        found = [*pictures.train, *pictures.holdout]
        return [(each.file, each.labels, [region.box_xyxy for region in each.regions]) for each in found]

    first, again = manifest(), manifest()
    assert first == again and sum(bool(boxes) for _, _, boxes in first) == 1
    label_studio.files[name] = there
    assert len(manifest()) == len(first) + 1 == len(label_studio.tasks)


def test_regions_of_which_nothing_is_learned_are_named_once(
    context: JobContext, label_studio: FakeLabelStudio, caplog: pytest.LogCaptureFixture
) -> None:
    for task in label_studio.tasks[:2]:
        task["annotations"] = [drawn_box("zebra")]
    read_samples(context, PROJECT)
    [said] = [each.getMessage() for each in caplog.records if "nothing is learned" in each.getMessage()]
    assert "2 drawn regions: the labeling config has no label 'zebra' (2, task 1)" in said
    caplog.clear()
    read_samples(context, PROJECT)
    assert not caplog.records
