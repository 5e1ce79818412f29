"""kill -9 at every step from training to replaced predictions: afterwards all is as before or as after, in a real
Label Studio, and nothing is there twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backend.services.training import TrainingService
from backend.storage.runs import RunState
from demo.project import label_config
from tests.backend.support.real_services import Nursery, is_running, wait_for
from tests.label_studio.conftest import Place
from tests.label_studio.own_workers import Workshop, workshop

pytestmark = pytest.mark.slow

CLASSES = ("fish", "ladybird")
LONG_S = 120.0
# Dies once, before or after a call; the marker file says that it has. Tiny models are worse by chance, so they pass.
DYING = """
import os
from pathlib import Path
from backend.jobs import promotion_gate as gate
import {module}

gate.LABEL_MARGIN = 9
real, marker = {module}.{name}, Path({marker!r})

def dying(*args, **values):
    dies = not marker.exists()
    if dies and not {after}:
        marker.touch()
        os.kill(os.getpid(), 9)
    result = real(*args, **values)
    if dies:
        marker.touch()
        os.kill(os.getpid(), 9)
    return result

{module}.{name} = dying
"""


@dataclass(frozen=True)
class Death:
    """Where a worker dies: before a call of `name` in `module`, or after it."""

    kind: str
    module: str
    name: str
    after: bool = False


TRAIN = "backend.jobs.train"
DEATHS = {
    "before the manifest is written": Death("train", "backend.jobs.manifest", "write_whole"),
    "before the gate": Death("train", TRAIN, "judge"),
    "behind the gate": Death("train", TRAIN, "judge", after=True),
    "between version and CURRENT": Death("train", "backend.storage.models", "write_text"),
    "when it is live": Death("train", "backend.storage.models", "write_text", after=True),
    "before predictions are asked for": Death("train", "backend.queueing.queue", "JobQueue.begin_preannotation"),
    "when predictions are asked for": Death(
        "train", "backend.queueing.queue", "JobQueue.begin_preannotation", after=True
    ),
    "before a prediction is replaced": Death(
        "predict", "backend.labelstudio.client", "LabelStudioClient.change_prediction"
    ),
    "when a prediction is replaced": Death(
        "predict", "backend.labelstudio.client", "LabelStudioClient.change_prediction", after=True
    ),
}


class Loop:
    """A project of eight pictures with a class each, and workers that train and predict for it."""

    def __init__(self, place: Place, at: Workshop) -> None:
        self.person, self.workers, self.queue, self.stores = place.person, at.workers, at.queue, at.stores
        self.training = TrainingService(replace(at.settings, train_epochs=2), at.stores, at.queue)
        number = place.person.make("kills", label_config(CLASSES))
        self.project, web, folder = str(number), place.web, place.folder
        pictures = [(path, name) for name in CLASSES for path in place.drawn[name][:4]]
        place.person.import_tasks(
            number, [{"image": f"{web}/{path.relative_to(folder)}", "label": name} for path, name in pictures]
        )
        self._pids = {kind: at.workers.start(kind) for kind in ("train", "predict")}

    def replace_worker(self, kind: str, before: str) -> int:
        """A worker that runs `before` first, in the place of the one of its kind."""
        self.workers.kill(self._pids[kind])
        self._pids[kind] = self.workers.start(kind, before)
        return self._pids[kind]

    def predictions(self) -> dict[int, list[str]]:
        """Task -> versions of its predictions."""
        found = {int(task["id"]): list[str]() for task in self.person.tasks(int(self.project))}
        for each in self.person.predictions(int(self.project)):
            found[int(each["task"])].append(each["model_version"])
        return found

    def replaced(self, touched: int | None = None) -> bool:
        """Whether every task but `touched` has one prediction, of the live version."""
        live = self.stores.models.current(self.project)
        return all(versions == [live] for task, versions in self.predictions().items() if task != touched)


@pytest.fixture(scope="module")
def loop(place: Place, nursery: Nursery) -> Iterator[Loop]:
    with workshop(place, nursery) as at:
        yield Loop(place, at)


@pytest.fixture(scope="module")
def touched(loop: Loop) -> dict[str, Any]:
    """A task whose first prediction a person has corrected."""
    loop.training.start(loop.project)
    wait_for(lambda: loop.stores.models.current(loop.project) and loop.replaced(), LONG_S)
    task = loop.person.tasks(int(loop.project))[0]
    loop.person.draw(task, "fish", (10, 20, 50, 60))
    return dict(task)


@pytest.mark.parametrize("where", DEATHS)
def test_a_death_leaves_all_as_before_or_as_after(
    loop: Loop, touched: dict[str, Any], where: str, tmp_path: Path
) -> None:
    death, marker = DEATHS[where], tmp_path / "died"
    code = DYING.format(module=death.module, name=death.name, marker=str(marker), after=death.after)
    worker = loop.replace_worker(death.kind, code)
    versions, before = loop.stores.models.versions(loop.project), loop.stores.models.current(loop.project)
    kept = loop.predictions()[touched["id"]]
    run = loop.training.start(loop.project)
    wait_for(marker.exists, LONG_S)
    if death.kind == "predict":
        wait_for(lambda: not is_running(worker))
        loop.replace_worker("predict", "")
    names = [version.name for version in loop.stores.models.versions(loop.project)]
    assert len(names) - len(versions) in (0, 1)
    assert loop.stores.models.current(loop.project) in (before, names[-1])
    assert all(found for found in loop.predictions().values())  # nobody opens a task without boxes meanwhile

    wait_for(lambda: loop.stores.runs.read(run.id).ended, LONG_S)
    ended = loop.stores.runs.read(run.id)
    assert (ended.state, ended.reason) == (RunState.SUCCEEDED, "")
    names = [version.name for version in loop.stores.models.versions(loop.project)]
    assert (len(names), loop.stores.models.current(loop.project)) == (len(versions) + 1, ended.version)
    wait_for(lambda: loop.replaced(touched["id"]), LONG_S)
    wait_for(lambda: not any(sum(found.values()) - found["failed"] for found in loop.queue.counts().values()))
    assert loop.replaced(touched["id"])
    assert loop.predictions()[touched["id"]] == kept
