"""The pages of a project below /projects: how it stands and how it is trained, its report, and its pictures."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import FileResponse, HTMLResponse, Response

from backend.errors import BackendError, DamagedFileError, NotFoundError
from backend.reports.page import render
from backend.services.projects import project_number
from backend.settings import GateMode
from backend.storage.policies import Sampling
from backend.web import api
from backend.web.html import HEADERS, page
from backend.web.services import Services, TheServices

router = APIRouter(prefix="/projects", include_in_schema=False)

GATES: Final = {
    GateMode.AUTO: "if it is not worse than the live one",
    GateMode.SUGGEST: "when a person says so; those that are not worse are suggested",
    GateMode.MANUAL: "when a person says so",
}
ORDERS: Final = {
    Sampling.AS_IT_IS: "as the project has it",
    Sampling.UNCERTAINTY: "the least certain predictions first",
    Sampling.SEQUENTIAL: "by number",
    Sampling.UNIFORM: "at random",
}
REPORT_HEADERS: Final = {
    **HEADERS,
    # One file with its style inside, and no script.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
}


@router.get("/{project}")
def show(project: str, all_services: TheServices) -> Response:
    """Return the page of a project."""
    try:
        project_id = project_number(project)
        view = all_services.pages.show(project_id)
    except BackendError as error:
        return page("error.html", error.status, root="../", error=str(error))
    return page("project.html", root="../", view=view, gates=GATES, orders=ORDERS, **_now(all_services, project_id))


@router.get("/{project}/report")
def report(project: str, all_services: TheServices) -> Response:
    """Return what pre-annotation brought to a project."""
    try:
        found = all_services.reports.report(project_number(project))
    except BackendError as error:
        return page("error.html", error.status, root="../../", error=str(error))
    return HTMLResponse(render(found, home="../../", project=f"../{found.project}"), headers=REPORT_HEADERS)


@router.get("/{project}/pictures/{name}/{task}.jpg")
def picture(project: str, name: str, task: str, all_services: TheServices) -> Response:
    """Return a task's picture with what a version, or a running training, has found in it."""
    file = all_services.pages.picture(project, name, task)
    if file is None:
        raise NotFoundError(
            f"There is no picture of task {task[:20]!r} by {name[:60]!r}; open the project's page again."
        )
    return FileResponse(file, media_type="image/jpeg", headers={"Cache-Control": "no-cache"})


def _now(all_services: Services, project_id: str) -> dict[str, Any]:
    """Return what the page's script keeps fresh."""
    shown = api.projects(all_services, project_id)
    [project] = shown["projects"]
    status = api.show_status(all_services.status.now())
    trained = [run for run in all_services.training.runs(project_id) if run.state == "running"]
    return {
        "project": project,
        "heading": project["title"] or f"Project {project_id}",
        "notices": shown["notices"],
        "status": status,
        "revision": f"{shown['revision']} {status['revision']}",
        "brought": _brought(all_services, project_id) if project["versions"] else "",
        "curves": {run.id: Markup(all_services.pages.loss_curves(run)) for run in trained},
        "samples": {run.id: all_services.pages.samples(run) for run in trained},
    }


def _brought(all_services: Services, project_id: str) -> str:
    try:
        return all_services.reports.report(project_id).sentence
    except DamagedFileError:  # the ledger: the page says so already
        return ""
