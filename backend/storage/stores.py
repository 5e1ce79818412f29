"""Open all stores of one installation from its settings."""

from __future__ import annotations

from dataclasses import dataclass

from backend.settings import Settings
from backend.storage.connections import ConnectionStore
from backend.storage.feedback import FeedbackStore
from backend.storage.models import ModelRegistry
from backend.storage.policies import Policy, PolicyStore
from backend.storage.projects import ProjectStore
from backend.storage.runs import RunStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of versions, runs, projects, their policies, the ledger, and what is to be connected."""

    models: ModelRegistry
    runs: RunStore
    projects: ProjectStore
    policies: PolicyStore
    feedback: FeedbackStore
    connections: ConnectionStore


def open_stores(settings: Settings) -> Stores:
    """Open the stores; nothing is made on disk before something is kept."""
    return Stores(
        ModelRegistry(settings.models),
        RunStore(settings.home / "runs"),
        ProjectStore(settings.home / "projects"),
        PolicyStore(settings.home / "policies", Policy.of(settings)),
        FeedbackStore(settings.home / "feedback.sqlite"),
        ConnectionStore(settings.home / "connections"),
    )
