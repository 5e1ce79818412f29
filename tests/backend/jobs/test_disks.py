"""The disks of versions and of all else are full, read-only or away in the middle of work, which waits and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.queueing.messages import PredictionRequest
from backend.queueing.queue import JobQueue
from backend.storage.projects import Project
from backend.storage.stores import Stores
from backend.storage.version_facts import VersionFacts
from tests.backend.support.fake_project import CONFIG, PROJECT, FakeLabelStudio
from tests.backend.support.real_services import Workers, is_running, wait_for
from tests.backend.support.small_disk import SmallDisk, small_disk
from tests.backend.support.trainings import MEDIUM, Trainings, beginnings

TASK = {"id": 1, "data": {"image": "https://127.0.0.1:9/a.png"}, "annotations": []}
Change = Callable[[SmallDisk], object]


@pytest.fixture
def store() -> Iterator[SmallDisk]:
    """That of the versions."""
    with small_disk() as disk:
        yield disk


@pytest.fixture
def home() -> Iterator[SmallDisk]:
    """That of everything else."""
    with small_disk() as disk:
        yield disk


@pytest.fixture
def environment(environment: dict[str, str], store: SmallDisk, home: SmallDisk) -> dict[str, str]:
    return {**environment, "BOXSTRAP_HOME": str(home.path), "MODEL_DIR": str(store.path)}


TROUBLES: dict[str, tuple[Change, Change, str]] = {
    "full": (SmallDisk.fill, SmallDisk.make_room, "make room"),
    "read-only": (SmallDisk.lock, SmallDisk.unlock, "for writing"),
    "away": (SmallDisk.take_away, SmallDisk.bring_back, "model store is away"),
}


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_was_trained_waits_for_its_store_and_is_published_later(
    trainings: Trainings, stores: Stores, store: SmallDisk, model: Path, workers: Workers, janitor: None, trouble: str
) -> None:
    begin, end, said = TROUBLES[trouble]
    stores.projects.remember(Project(PROJECT, CONFIG))
    older = stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    earlier = stores.runs.create(PROJECT, {})
    stores.runs.update(earlier.id, state="succeeded", version=older)
    worker, run_id = workers.start(), trainings.start(MEDIUM)
    trainings.reaches_epoch(run_id, 1)
    begin(store)
    wait_for(lambda: said in trainings.now(run_id).reason)
    assert any(str(store.path) in notice for notice in stores.notices())
    assert trouble != "away" or list(store.path.iterdir()) == []
    end(store)
    run = trainings.ends(run_id)
    assert (trainings.versions(), stores.notices()) == ([older, run.version], [])
    assert (run.starts, is_running(worker)) == (1, True)
    assert "Traceback" not in workers.log()
    assert beginnings(workers, run_id)[0] == 1  # it was not trained anew


@pytest.mark.slow
def test_a_training_waits_for_room_in_the_state_folder_and_goes_on(
    trainings: Trainings, home: SmallDisk, workers: Workers, janitor: None
) -> None:
    workers.start()
    run_id = trainings.start(MEDIUM)
    trainings.reaches_epoch(run_id, 1)
    home.fill()
    wait_for(lambda: "is tried again" in workers.log())
    assert any("make room" in notice for notice in trainings.stores.notices())
    home.make_room()
    run = trainings.ends(run_id)
    assert trainings.versions() == [run.version]
    assert "Traceback" not in workers.log()


@pytest.mark.parametrize("trouble", ["store full", "store read-only", "store away", "home full"])
def test_a_pre_annotation_goes_on_or_waits(
    trainings: Trainings,
    stores: Stores,
    store: SmallDisk,
    home: SmallDisk,
    model: Path,
    workers: Workers,
    label_studio: FakeLabelStudio,
    janitor: None,
    trouble: str,
) -> None:
    disk, (begin, end, _) = {"store": store, "home": home}[trouble.split()[0]], TROUBLES[trouble.split()[1]]
    version = stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    stores.runs.update(stores.runs.create(PROJECT, {}).id, state="succeeded", version=version)
    begin(disk)
    workers.start("predict")
    trainings.queue.begin_preannotation(PROJECT, version)
    if trouble in ("store away", "home full"):
        wait_for(lambda: "is tried again" in workers.log())
        end(disk)
    wait_for(lambda: len(label_studio.predictions(version)) == len(label_studio.tasks))
    wait_for(trainings.preannotation_ended)
    assert set(label_studio.predictions(version).values()) == {1}
    assert "Traceback" not in workers.log()


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_predictions_need_no_room(
    queue: JobQueue, stores: Stores, store: SmallDisk, home: SmallDisk, model: Path, workers: Workers, trouble: str
) -> None:
    version = stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    for disk in (store, home):
        TROUBLES[trouble][0](disk)
    workers.start("predict")
    assert len(queue.predict(PredictionRequest(PROJECT, version, CONFIG, [TASK]), 30)) == 1
