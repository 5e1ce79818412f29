"""The protocol of Label Studio's ML backends, as Label Studio 1.23 calls it.

Label Studio waits 1 second for /health and for webhooks, 3 for /setup and 100 for /predict, and repeats none of them.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from backend.errors import RequestError
from backend.services.projects import project_number
from backend.storage.runs import RunState
from backend.web.schemas import Event, JobCall, PredictCall, SetupCall, TrainCall
from backend.web.services import TheServices
from backend.web.thread_limiter import ThreadLimiter

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Label Studio"])

UP = {"status": "UP", "model_class": "Boxstrap"}
Json = dict[str, Any]


async def thread_limiter(request: Request) -> ThreadLimiter:
    """Return the limiter of the app that the request came to."""
    found: ThreadLimiter = request.app.state.thread_limiter
    return found


@router.get("/health")
async def health() -> Json:
    """Whether the process lives; says nothing of Redis or workers."""
    return UP


@router.post("/setup")
def setup(call: SetupCall, request: Request, all_services: TheServices) -> Json:
    """The name of the version that serves the project; "untrained" before the first."""
    project_id = project_number(call.project)
    own_url = str(request.base_url).rstrip("/")
    return {"model_version": all_services.projects.set_up(project_id, call.label_config, call.hostname or "", own_url)}


@router.post("/predict", response_model=dict[str, list[Json]])
async def predict(
    call: PredictCall, all_services: TheServices, limiter: Annotated[ThreadLimiter, Depends(thread_limiter)]
) -> JSONResponse:
    """One prediction a task, in their order; with a context, the object that the person points at."""
    project_id = call.project_id
    context = call.params.context if call.params else None

    def work() -> list[Json]:
        label_config = call.label_config or all_services.projects.label_config(project_id)
        if not label_config:
            raise RequestError(
                f"label_config is missing, and project {project_id} was never set up; call /setup first."
            )
        return all_services.predictions.predict(project_id, label_config, call.tasks, context)

    # Written as it is: FastAPI would look at every byte of every mask.
    return JSONResponse({"results": await limiter.run(work)})


@router.post("/webhook", status_code=201)
def webhook(event: Event, all_services: TheServices) -> Any:
    """Takes note and answers at once; "Start training" puts a run on the queue."""
    if event.project is None:
        logger.info("event %r names no project, so nothing is done", event.action)
        return JSONResponse({"status": "ignored"})
    project_id = project_number(event.project.id)
    all_services.projects.record_event(project_id, event.action)
    all_services.projects.changed(project_id, event.project.label_config or "", event.project.title or "")
    if event.action == "START_TRAINING":
        all_services.projects.require_real(project_id)
        run = all_services.training.start(project_id)
        logger.info("project %s: run %s is %s", project_id, run.id, run.state)
        return {"status": "queued", "job": run.id}
    logger.debug("project %s: event %r is noted", project_id, event.action)
    return JSONResponse({"status": "noted"})


@router.post("/train", status_code=201)
def train(call: TrainCall, all_services: TheServices) -> Json:
    """Puts a run of the project on the queue, as the button does."""
    project_id = project_number(call.project)
    all_services.projects.require_real(project_id)
    return {"job": all_services.training.start(project_id).id}


@router.post("/job_status")
def job_status(call: JobCall, all_services: TheServices) -> Json:
    """How a run stands, in Label Studio's words and in ours."""
    run = all_services.training.find(call.job)
    words = {RunState.RUNNING: "started", RunState.SUCCEEDED: "finished", RunState.CANCELLED: "failed"}
    facts = {"state": run.state, "version": run.version, "reason": run.reason}
    return {
        "job_status": words.get(run.state, run.state),
        "result": {**facts, "progress": all_services.training.progress(run)},
    }


@router.get("/versions")
def versions(all_services: TheServices, project: str | None = None) -> Json:
    """Names of all versions, newest first; Label Studio does not say of which project."""
    return {"versions": all_services.projects.versions(project_number(project) if project else None)}
