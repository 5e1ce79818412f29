"""However Label Studio's events come, or do not, the ledger and the training set say what people did.

A project in memory stands in for Label Studio; the web application, Redis and the job are the real ones.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rq import Queue
from rq.serializers import JSONSerializer

from backend.images.image_store import ImageStore
from backend.jobs import sync_annotations
from backend.jobs.context import JobContext
from backend.jobs.model_cache import ModelCache
from backend.jobs.read_samples import read_samples
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.manifest_line import ManifestLine, manifest_line
from backend.labelstudio.reviews import review
from backend.queueing.queue import BULK
from backend.storage.ledger_rows import LedgerRow
from tests.backend.support.fake_people import FakeProject
from tests.backend.support.fake_project import FakeLabelStudio
from tests.backend.web.serving import Site
from tests.local_http import answering

Json = dict[str, Any]
Delivery = Callable[[list[Json]], list[Json]]

CHANGES = ("leave", "move", "relabel", "remove", "clear", "add")
NUMBERS = itertools.count(1000)


@dataclass(frozen=True)
class Act:
    """What a person does next, how long after the act before, and whether a worker is free then."""

    what: str
    task: int
    how: str
    seconds: float
    worker: bool


def acts(*kinds: str) -> st.SearchStrategy[list[Act]]:
    one = st.builds(
        Act,
        st.sampled_from(kinds),
        st.integers(0, 3),
        st.sampled_from(CHANGES),
        st.sampled_from([0.001, 1.0, 60.0]),
        st.booleans(),
    )
    return st.lists(one, min_size=3, max_size=10)


# What has everything read anew hides what else may be missed, so it is rare.
EDITS = (*("choose", "skip", "submit", "revise", "praise", "import_task") * 2, "take_back", "configure")


def perform(project: FakeProject, act: Act) -> list[Json]:
    project.now += timedelta(seconds=act.seconds)
    if act.what == "import_task":
        return project.import_task()
    if act.what == "configure":
        return project.configure("fish") if act.task % 2 else project.configure("crab", "fish")
    if not project.tasks:
        return []
    task = project.tasks[act.task % len(project.tasks)]
    if act.what in ("submit", "revise"):
        return list(getattr(project, act.what)(task, act.how))
    if act.what == "choose":
        return project.choose(task, "crab" if act.task % 2 else "fish")
    return list(getattr(project, act.what)(task))


class Deliveries:
    """The ways that events come. A delivery keeps what it holds back, and gives that with the next events."""

    @staticmethod
    def complete() -> Delivery:
        return lambda events: events

    @staticmethod
    def none() -> Delivery:
        return lambda events: []

    @staticmethod
    def every_second() -> Delivery:
        turn = itertools.cycle((True, False))
        return lambda events: [event for event in events if next(turn)]

    @staticmethod
    def twice() -> Delivery:
        return lambda events: [event for event in events for _ in range(2)]

    @staticmethod
    def out_of_order() -> Delivery:
        held, chance = list[Json](), random.Random(5)

        def deliver(events: list[Json]) -> list[Json]:
            held.extend(events)
            chance.shuffle(held)
            return [held.pop() for _ in range(chance.randint(0, len(held)))]

        return deliver


WAYS: dict[str, Callable[[], Delivery]] = {
    "complete": Deliveries.complete,
    "none": Deliveries.none,
    "every second": Deliveries.every_second,
    "twice": Deliveries.twice,
    "out of order": Deliveries.out_of_order,
}


@pytest.fixture
def projects() -> dict[int, FakeProject]:
    """Those that Label Studio has, by number."""
    return {}


@pytest.fixture
def context(site: Site, projects: dict[int, FakeProject], monkeypatch: pytest.MonkeyPatch) -> Iterator[JobContext]:
    """What the job works with."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        numbers = re.findall(r"projects/(\d+)/|[?&]project=(\d+)", handler.path)
        projects[int("".join(numbers[0]))].answer(handler)

    with answering(answer) as url, closing(LabelStudioClient(url, FakeLabelStudio.token)) as client:
        media, models = ImageStore.from_settings(site.settings, client), ModelCache(0, "cpu")
        context = JobContext(site.settings, site.stores, site.queue, media, models, client)
        monkeypatch.setattr(sync_annotations, "job_context", lambda: context)
        yield context
    site.queue.connection.flushall()


def work(site: Site) -> None:
    """A worker that does all that waits."""
    queue = Queue(BULK, connection=site.queue.connection, serializer=JSONSerializer)
    while jobs := queue.jobs:
        for job in jobs:
            queue.remove(job)
            assert sync_annotations.sync_annotations(*job.args) is None
            job.delete()


def taught(context: JobContext, project: FakeProject) -> list[tuple[Any, ...]]:
    """What a training would learn now."""
    index = read_samples(context, str(project.number))
    return [
        (each.task, each.labels, each.part, tuple((region.label, region.box_xyxy) for region in each.regions))
        for page in index.pages()
        for each in page
    ]


def live(
    context: JobContext, site: Site, project: FakeProject, history: Sequence[Act], deliver: Delivery, full: bool
) -> None:
    """The history, its events delivered in one way, some trainings, and at last a look by the clock."""
    number = str(project.number)
    site.set_up(number)
    for act in history:
        for event in deliver(perform(project, act)):
            assert site.post("/webhook", event).status_code == 200
        if act.worker:
            work(site)
            taught(context, project)
    site.queue.sync_annotations(number, full=full)
    work(site)


Outcome = Callable[[Sequence[Act], Delivery, bool], tuple[list[LedgerRow], list[ManifestLine]]]


@pytest.fixture
def outcome(site: Site, context: JobContext, projects: dict[int, FakeProject]) -> Outcome:
    """The ledger, without our own clock, and the training set. What the ledger says is what the tasks say."""

    def outcome(history: Sequence[Act], deliver: Delivery, full: bool) -> tuple[list[LedgerRow], list[ManifestLine]]:
        project = FakeProject(next(NUMBERS), tasks=3)
        projects[project.number] = project
        live(context, site, project, history, deliver, full)
        rows, config = context.stores.feedback.rows(str(project.number)), LabelConfig.parse(project.config)
        assert all(row.changed and row.doubt is None for row in rows)
        rows = [replace(row, changed=None) for row in rows]
        assert rows == [found for task in project.tasks if (found := review(task, config))]
        number, read = str(project.number), list(context.label_studio().tasks(str(project.number)))
        lines = [line for task in read if (line := manifest_line(task, config, number))]
        assert taught(context, project) == [
            (each.task, each.labels, each.part, tuple((region.label, region.box_xyxy) for region in each.regions))
            for each in lines
        ]
        return rows, [line for task in read if (line := manifest_line(task, config, "7"))]

    return outcome


LONG = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@LONG
@given(history=acts(*EDITS))
def test_the_ledger_and_the_training_set_are_the_same_however_events_come(outcome: Outcome, history: list[Act]) -> None:
    found = {name: outcome(history, way(), False) for name, way in WAYS.items()}
    assert all(each == found["complete"] for each in found.values())


@pytest.mark.slow
@LONG
@given(history=acts(*EDITS, "delete_task", "delete_task"))
def test_tasks_that_are_gone_are_forgotten_at_the_next_full_look_at_the_latest(
    outcome: Outcome, history: list[Act]
) -> None:
    found = {name: outcome(history, way(), name != "complete") for name, way in WAYS.items()}
    assert all(each == found["complete"] for each in found.values())


def test_a_history_comes_out_as_it_should(outcome: Outcome) -> None:
    history = [
        Act("submit", 0, "leave", 1, True),
        Act("submit", 1, "move", 1, False),
        Act("skip", 2, "leave", 1, True),
        Act("revise", 0, "remove", 1, False),
    ]
    rows, lines = outcome(history, Deliveries.every_second(), False)
    fates = [[each.fate for each in row.objects] for row in rows]
    assert [row.outcome for row in rows] == ["corrected", "corrected", "skipped"]
    assert fates == [["accepted", "deleted"], ["edited", "accepted"], []]
    assert [(line.task, line.labels, len(line.regions)) for line in lines] == [(3, ("crab",), 1)]
