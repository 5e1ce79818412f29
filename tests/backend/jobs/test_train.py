"""Trainings by real workers, and everything that can be killed, filled or unplugged while they run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from backend.queueing.queue import TRAIN
from backend.storage.runs import RunState
from backend.storage.version_facts import VersionFacts
from tests.backend.support.fake_project import PROJECT, FakeLabelStudio
from tests.backend.support.real_services import Workers, children_of, is_running, wait_for
from tests.backend.support.trainings import ENDLESS, MEDIUM, Trainings, beginnings

FULL_DISK = """
import errno, shutil
from pathlib import Path
copy = shutil.copyfile
def copyfile(source, target):
    if Path("{full}").exists():
        raise OSError(errno.ENOSPC, "No space left on device")
    copy(source, target)
shutil.copyfile = copyfile
"""
EVERY_EPOCH = """
from wsol_core.training import checkpoint
checkpoint.CHECKPOINT_SHARE = 0  # saving takes longer than these epochs
"""
DYING = """
import os
from backend.jobs import train
train.fit = lambda *_, **__: os.kill(os.getpid(), 9)
"""


def busy_one(*workers: int) -> int:
    """The worker that has forked a process for a job."""
    return next(worker for worker in workers if children_of(worker))


def test_a_training_ends_as_a_published_version_and_leaves_no_pictures(
    trainings: Trainings, workers: Workers, janitor: None
) -> None:
    run_id = trainings.start()
    workers.start()
    run = trainings.ends(run_id)
    assert trainings.versions() == [run.version]
    assert (run.pictures, run.reason) == (10, "")
    folder = trainings.stores.runs.folder(run_id)
    wait_for(lambda: not (folder / "model").exists() and not (folder / "pictures").exists())


def test_a_training_whose_worker_is_killed_goes_on_in_another_one_within_ten_seconds(
    trainings: Trainings, workers: Workers, janitor: None
) -> None:
    both = workers.start(before=EVERY_EPOCH), workers.start(before=EVERY_EPOCH)
    run_id = trainings.start(MEDIUM)
    before = trainings.reaches_epoch(run_id, 4)
    workers.kill(busy_one(*both))
    killed_s = time.monotonic()
    wait_for(lambda: beginnings(workers, run_id) == (1, 1), 20)
    took_s = time.monotonic() - killed_s
    trainings.forget_progress(run_id)
    assert trainings.reaches_epoch(run_id, 1) >= before
    assert took_s < 10
    run = trainings.ends(run_id)
    assert (trainings.versions(), run.starts) == ([run.version], 1)  # it had got further, so the death does not count
    assert beginnings(workers, run_id) == (1, 1)


def test_a_training_dies_with_its_worker(trainings: Trainings, workers: Workers) -> None:
    worker = workers.start()
    trainings.reaches_epoch(trainings.start(ENDLESS), 1)
    (horse,) = children_of(worker)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not is_running(horse), 2)


def test_a_training_whose_process_alone_dies_goes_on_at_once(
    trainings: Trainings, workers: Workers, janitor: None
) -> None:
    worker = workers.start(before=EVERY_EPOCH)
    run_id = trainings.start(ENDLESS)
    before = trainings.reaches_epoch(run_id, 3)
    (horse,) = children_of(worker)
    os.kill(horse, signal.SIGKILL)
    wait_for(lambda: beginnings(workers, run_id) == (1, 1), 5)
    trainings.forget_progress(run_id)
    assert trainings.reaches_epoch(run_id, 1) >= before


def test_a_training_that_keeps_killing_its_process_is_given_up(
    trainings: Trainings, workers: Workers, janitor: None
) -> None:
    workers.start(before=DYING)
    run = trainings.ends(trainings.start(), RunState.FAILED)
    assert "died 5 times, so it is not started again" in run.reason
    wait_for(lambda: trainings.queue.status(run.id) == "failed")
    assert trainings.queue.counts()[TRAIN] == {"queued": 0, "started": 0, "scheduled": 0, "failed": 1}


def test_a_cancelled_training_ends_at_once_and_the_worker_takes_the_next(
    trainings: Trainings, workers: Workers, janitor: None
) -> None:
    worker = workers.start()
    run_id = trainings.start(ENDLESS)
    trainings.reaches_epoch(run_id, 1)
    (horse,) = children_of(worker)
    trainings.service.cancel(run_id)
    wait_for(lambda: not is_running(horse), 2)
    following = trainings.ends(trainings.start())
    run = trainings.now(run_id)
    assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled by a person")
    assert trainings.versions() == [following.version]
    wait_for(lambda: not (trainings.stores.runs.folder(run_id) / "model").exists())


def test_a_training_ends_also_where_the_command_to_stop_does_not_arrive(trainings: Trainings, workers: Workers) -> None:
    worker = workers.start()
    run_id = trainings.start(ENDLESS)
    trainings.reaches_epoch(run_id, 1)
    (horse,) = children_of(worker)
    trainings.stores.runs.update(run_id, state=RunState.CANCELLED)
    wait_for(lambda: not is_running(horse), 5)
    assert is_running(worker)


def test_a_worker_that_is_told_to_end_saves_its_training_for_the_next(
    trainings: Trainings, workers: Workers, janitor: None
) -> None:
    worker = workers.start(before=EVERY_EPOCH)
    run_id = trainings.start(ENDLESS)
    before = trainings.reaches_epoch(run_id, 3)
    os.kill(worker, signal.SIGTERM)
    wait_for(lambda: not is_running(worker), 10)
    assert trainings.queue.counts()[TRAIN]["queued"] == 1
    trainings.forget_progress(run_id)
    workers.start()
    assert trainings.reaches_epoch(run_id, 1) >= before
    assert (beginnings(workers, run_id), trainings.now(run_id).starts) == ((1, 1), 1)


def test_a_run_given_up_by_mistake_does_not_train_twice(trainings: Trainings, workers: Workers, janitor: None) -> None:
    workers.start(), workers.start()
    run_id = trainings.start(MEDIUM)
    trainings.reaches_epoch(run_id, 2)
    registry = f"rq:wip:{TRAIN}"
    (execution,) = trainings.queue.connection.zrange(registry, 0, -1)
    trainings.queue.connection.zadd(registry, {execution: 1})  # as if no heartbeat had come
    wait_for(lambda: trainings.queue.status(run_id) != "started")
    run = trainings.ends(run_id)
    wait_for(lambda: trainings.queue.status(run_id) == "finished")
    assert (trainings.versions(), beginnings(workers, run_id)) == ([run.version], (1, 0))


def test_a_second_run_of_a_project_waits_for_the_first_though_a_worker_is_free(
    trainings: Trainings, workers: Workers, janitor: None
) -> None:
    workers.start(), workers.start()
    first = trainings.start(3 * MEDIUM)
    trainings.reaches_epoch(first, 1)
    second = trainings.start()
    wait_for(lambda: trainings.queue.status(second) == "scheduled")
    assert (trainings.now(first).state, trainings.now(second).state) == (RunState.RUNNING, RunState.QUEUED)
    ended, following = trainings.ends(first), trainings.ends(second)
    assert ended.ended is not None and following.started is not None
    assert ended.ended <= following.started
    assert trainings.versions() == [ended.version, following.version]


def test_a_training_waits_for_a_label_studio_that_is_down(
    trainings: Trainings, workers: Workers, janitor: None, label_studio: FakeLabelStudio
) -> None:
    label_studio.down = True
    run_id = trainings.start()
    workers.start()
    wait_for(lambda: trainings.now(run_id).reason.startswith("Is tried again: Label Studio at"))
    assert trainings.now(run_id).state == RunState.RUNNING
    label_studio.down = False
    run = trainings.ends(run_id)
    assert (run.reason, run.starts, trainings.versions()) == ("", 1, [run.version])


def test_a_project_without_labels_fails_once_and_says_why(
    trainings: Trainings, workers: Workers, janitor: None, label_studio: FakeLabelStudio
) -> None:
    for task in label_studio.tasks:
        task["annotations"] = []
    workers.start()
    run_id = trainings.start()
    run = trainings.ends(run_id, RunState.FAILED)
    assert run.reason.startswith(f"Project {PROJECT} has 10 tasks, none with a class")
    wait_for(lambda: trainings.queue.status(run_id) == "failed")
    assert label_studio.asked[f"/api/projects/{PROJECT}/"] == 1


def test_a_labeling_config_without_a_picture_fails_once_and_says_why(
    trainings: Trainings, workers: Workers, janitor: None, label_studio: FakeLabelStudio
) -> None:
    label_studio.config = '<View><Text name="text" value="$text"/></View>'
    workers.start()
    run_id = trainings.start()
    run = trainings.ends(run_id, RunState.FAILED)
    assert run.reason.startswith("The labeling config has no Image tag")
    wait_for(lambda: trainings.queue.status(run_id) == "failed")
    assert label_studio.asked[f"/api/projects/{PROJECT}/"] == 1


def test_a_picture_that_cannot_be_read_is_left_out(
    trainings: Trainings, workers: Workers, janitor: None, label_studio: FakeLabelStudio, tmp_path: Path
) -> None:
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"no picture")
    label_studio.files[label_studio.tasks[0]["data"]["image"]] = torn
    workers.start()
    assert trainings.ends(trainings.start()).pictures == 9


def test_a_model_store_that_is_full_when_a_training_ends_is_waited_for_and_gets_the_version_later(
    trainings: Trainings, workers: Workers, janitor: None, model: Path, tmp_path: Path
) -> None:
    live, full = trainings.stores.models.publish(PROJECT, model, VersionFacts(run="older")), tmp_path / "full"
    full.touch()
    workers.start(before=FULL_DISK.format(full=full))
    run_id = trainings.start()
    wait_for(lambda: "No space left on device" in trainings.now(run_id).reason)
    assert trainings.now(run_id).state == RunState.RUNNING
    assert (trainings.versions(), trainings.stores.models.current(PROJECT)) == ([live], live)
    full.unlink()
    run = trainings.ends(run_id)
    assert (run.reason, trainings.versions()) == ("", [live, run.version])
    assert beginnings(workers, run_id)[0] == 1  # it was not trained again


def test_a_training_does_not_begin_while_the_model_store_could_not_take_its_version(
    trainings: Trainings, workers: Workers, janitor: None
) -> None:
    trainings.stores.models.root.parent.mkdir(parents=True, exist_ok=True)
    trainings.stores.models.root.write_text("a file where the store should be")
    workers.start()
    run_id = trainings.start()
    wait_for(lambda: "No version could be published" in trainings.now(run_id).reason)
    assert beginnings(workers, run_id) == (0, 0)
    trainings.stores.models.root.unlink()
    assert trainings.ends(run_id).version is not None


def test_a_damaged_live_version_stops_no_training_and_the_newest_whole_one_is_judged_against(
    trainings: Trainings, workers: Workers, janitor: None, model: Path
) -> None:
    models = trainings.stores.models
    older, live = (models.publish(PROJECT, model, VersionFacts(run=run)) for run in ("a", "b"))
    weights = models.folder(PROJECT, live) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    workers.start()
    run = trainings.ends(trainings.start())
    assert run.gate is not None and run.gate.against == older


def test_a_run_whose_checkpoint_is_damaged_begins_anew(trainings: Trainings, workers: Workers, janitor: None) -> None:
    run_id = trainings.start()
    model = trainings.stores.runs.folder(run_id) / "model"
    model.mkdir()
    (model / "checkpoint.pt").write_bytes(b"torn")
    workers.start()
    run = trainings.ends(run_id)
    assert trainings.versions() == [run.version]
