"""The services that pages and endpoints call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from backend.reports.report import ReportService
from backend.services.predictions import PredictionService
from backend.services.project_page import ProjectPages
from backend.services.projects import ProjectService
from backend.services.retraining import RetrainingService
from backend.services.status import StatusService
from backend.services.training import TrainingService


@dataclass(frozen=True, slots=True)
class Services:
    """Built by wiring.py, kept in the app's state."""

    projects: ProjectService
    training: TrainingService
    predictions: PredictionService
    status: StatusService
    retraining: RetrainingService
    reports: ReportService
    pages: ProjectPages


async def services(request: Request) -> Services:  # async: FastAPI would give anything else a thread
    """Return the services of the app that the request came to."""
    found: Services = request.app.state.services
    return found


TheServices = Annotated[Services, Depends(services)]
