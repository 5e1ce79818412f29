"""The JSON API under /api, for people and scripts; the dashboard's script lives on it, too.

security.py decides who may call; requests that change something have to be JSON here, too.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from backend.reports.report import TARGET_RISK
from backend.services.overview import revision, show_projects, show_run, show_runs
from backend.services.projects import project_number
from backend.services.retraining import show_policy
from backend.services.status import Status
from backend.web.schemas import ActivateCall, PolicyCall
from backend.web.services import TheServices

router = APIRouter(prefix="/api", tags=["API"])

Json = dict[str, Any]


@router.get("/projects")
def projects(all_services: TheServices, project: str | None = None) -> Json:
    """Every project, or one: its versions and which is live, its runs that wait or are trained, and the newest one.

    `notices`: sentences about files that cannot be read, each with its path and what to do.
    """
    only = project_number(project) if project else None
    found = show_projects(all_services.projects, all_services.training, all_services.retraining, only)
    notices = all_services.projects.notices()
    return {"projects": found, "notices": notices, "revision": revision([*found, {"notices": notices}])}


@router.post("/projects/{project}/train", status_code=201)
def train(project: str, all_services: TheServices) -> Json:
    """The run that waits now; a new one, unless one waited already."""
    project_id = project_number(project)
    all_services.projects.require(project_id)
    return show_run(all_services.training.start(project_id), all_services.training)


@router.post("/projects/{project}/preannotate", status_code=202)
def preannotate(project: str, all_services: TheServices) -> Json:
    """Begins to write the live version's boxes and masks into Label Studio, once more where they are there."""
    project_id = project_number(project)
    all_services.projects.require(project_id)
    all_services.training.preannotate(project_id, anew=True)
    return {"version": all_services.projects.live(project_id)}


@router.post("/projects/{project}/activate")
def activate(project: str, call: ActivateCall, all_services: TheServices) -> Json:
    """Makes one of the project's versions the live one, and begins to write its boxes and masks."""
    project_id = project_number(project)
    all_services.projects.activate(project_id, call.version)
    return {"live_version": all_services.projects.live(project_id)}


@router.get("/projects/{project}/report")
def report(project: str, all_services: TheServices, risk: Annotated[float, Query(gt=0, lt=1)] = TARGET_RISK) -> Json:
    """What pre-annotation brought. `risk`: share of wrong objects that a score threshold may let through."""
    return all_services.reports.report(project_number(project), risk).to_dict()


@router.get("/projects/{project}/policy")
def policy(project: str, all_services: TheServices) -> Json:
    """When the project is trained by itself, and how its versions go live."""
    return show_policy(all_services.retraining.policy(project_number(project)))


@router.patch("/projects/{project}/policy")
def change_policy(project: str, call: PolicyCall, all_services: TheServices) -> Json:
    """Changes what is named; the whole policy."""
    return show_policy(all_services.retraining.change_policy(project_number(project), **call.changes))


@router.get("/projects/{project}/loop")
def retraining(project: str, all_services: TheServices) -> Json:
    """Why a training does or does not start by itself now; how many tasks are corrected, and of which class."""
    return asdict(all_services.retraining.status(project_number(project)))


@router.get("/runs")
def runs(all_services: TheServices, project: str | None = None) -> Json:
    """All runs, newest first; those of one project if it is named."""
    found = all_services.training.runs(project_number(project) if project else None)
    return {"runs": show_runs(found, all_services.training)}


@router.get("/runs/{run}")
def run(run: str, all_services: TheServices) -> Json:
    """A run, with its settings and its progress."""
    found = all_services.training.find(run)
    return {**show_run(found, all_services.training), "config": found.config}


@router.post("/runs/{run}/cancel")
def cancel(run: str, all_services: TheServices) -> Json:
    """Ends a run within seconds; one that has ended stays as it ended."""
    return show_run(all_services.training.cancel(run), all_services.training)


@router.get("/status")
def status(all_services: TheServices) -> Json:
    """Whether Redis answers and takes writes, jobs by queue and state, and the workers that live."""
    return show_status(all_services.status.now())


def show_status(now: Status) -> Json:
    """Its `revision` changes when Redis or a worker comes or goes."""
    shown = asdict(now)
    known = {"redis_up": now.redis_up, "redis_problem": now.redis_problem, "workers": now.workers}
    return {**shown, "can_train": now.can_train, "can_predict": now.can_predict, "revision": revision([known])}
