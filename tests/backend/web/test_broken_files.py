"""Whatever small file is broken in whatever way: pages, API, predictions and trainings of other projects go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from backend.queueing.janitor import Janitor
from backend.services.retraining_scheduler import RetrainingScheduler
from backend.storage.galleries import Drawable, GalleryPicture
from backend.storage.runs import RunState
from backend.storage.version_facts import VersionFacts
from backend.wiring import build
from tests.backend.storage.broken_files import STATES, keep, restore, small_files
from tests.backend.support.ledger import row
from tests.backend.web.serving import CONFIG, Site, code_of, one_each, predict_worker, serving_with, task
from wsol_core.training.history import History

BROWSER = {"Accept": "text/html"}
OWN = ("/api/projects/7/policy", "/api/projects/7/loop", "/api/projects/7/report", "/versions?project=7")
SETTINGS = {"train_cron": "0 3 * * *", "predict_timeout_s": 20.0}


@pytest.fixture
def full_site(site: Site, tmp_path: Path) -> Iterator[Site]:
    """Projects 7 and 8 with everything that is kept of one, behind a server of its own."""
    with serving_with(site, **SETTINGS) as full:
        for project in ("7", "8"):
            full.set_up(project)
            for run in ("a", "b"):
                full.publish(tmp_path, project, run=run)
            full.stores.policies.change(project, every=20)
            full.stores.feedback.put(project, [row(1)])
            run_id = full.stores.runs.create(project, {}).id
            full.stores.runs.update(run_id, state=RunState.RUNNING)
            (model := full.stores.runs.folder(run_id) / "model").mkdir()
            History(model / "history.jsonl").add({"losses": {"ce": 1.0}, "stage": "a"})
            live = full.stores.models.versions(project)[-1]
            (live.folder / "manifest.jsonl").write_text('{"labels": ["fish"], "regions": [], "part": "train"}\n')
            shown = Drawable(GalleryPicture(1, 0.5, ("fish",), 1), lambda: b"")
            full.stores.galleries.add(project, live.name, [shown])
            spare = full.stores.models.publish(project, tmp_path, VersionFacts(run="c"), live=False)
            full.stores.models.delete(project, spare)
            full.stores.connections.want(project, "http://127.0.0.1:9090")
        full.stores.policies.note_default()
        yield full


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_no_broken_file_stops_what_others_do(full_site: Site, state: str) -> None:
    copy, rounds, failures = keep(full_site.stores), _rounds(full_site), list[str]()
    with predict_worker(full_site.queue, one_each):
        for name, path in small_files(full_site.stores, "7").items():
            path.touch()
            STATES[state](path)
            failures += [f"{name} {state}: {failure}" for failure in _failures(full_site, rounds)]
            restore(full_site.stores, copy)
    assert failures == []


def _failures(site: Site, rounds: Sequence[Callable[[], object]]) -> Iterator[str]:
    for address in (
        "/",
        "/projects/7",
        "/projects/8",
        "/api/projects",
        "/api/runs",
        "/versions",
        "/api/status",
        "/metrics",
    ):
        if (answer := site.client.get(address, headers=BROWSER)).status_code != 200:
            yield f"{address}: {answer.status_code} {answer.text[:200]}"
    for address in OWN:
        if (answer := site.client.get(address)).status_code not in (200, 404, 409):
            yield f"{address}: {answer.status_code} {answer.text[:200]}"
        if (answer := site.client.get(address.replace("7", "8"))).status_code != (
            409 if "sqlite" in answer.text else 200
        ):
            yield f"{address} of 8: {answer.status_code} {answer.text[:200]}"
    for project in ("7", "8"):
        answers = {
            "setup": site.post("/setup", {"project": project, "schema": "<View/>"}),
            "predict": site.post("/predict", {"tasks": [task(1)], "project": project, "label_config": CONFIG}),
            "train": site.post(f"/api/projects/{project}/train", {}),
        }
        yield from (
            f"{what} {project}: {found.text[:200]}" for what, found in answers.items() if found.status_code > 201
        )
    for work in rounds:
        work()


def _rounds(site: Site) -> tuple[Callable[[], object], ...]:
    """What goes on in the background: one round of the janitor, and one look at what has to be retrained."""
    janitor = Janitor(site.queue, site.stores.runs)
    scheduler = RetrainingScheduler(site.queue, build(site.settings).services.retraining)
    return lambda: janitor.run_once(thorough=True), scheduler.run_once


def test_a_broken_file_is_shown_with_its_path_and_what_to_do_until_it_is_mended(full_site: Site) -> None:
    path = full_site.stores.policies.root / "7.json"
    before = path.read_text()
    path.write_text("{")
    shown = full_site.client.get("/", headers=BROWSER).text
    assert str(path) in shown and "restore it from a backup" in shown
    assert any(str(path) in notice for notice in full_site.client.get("/api/projects").json()["notices"])
    path.write_text(before)
    assert full_site.client.get("/api/projects").json()["notices"] == []


def test_a_run_whose_record_is_broken_is_named_with_its_path(full_site: Site) -> None:
    run = full_site.stores.runs.of_project("7")[0].id
    (full_site.stores.runs.folder(run) / "run.json").write_text("")
    answer = full_site.client.get(f"/api/runs/{run}")
    assert (answer.status_code, code_of(answer)) == (409, "damaged_file")
    assert "run.json" in answer.text
