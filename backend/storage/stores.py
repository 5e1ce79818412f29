"""Open all stores of one installation from its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from backend.settings import Settings
from backend.storage.bucket import open_bucket
from backend.storage.connections import ConnectionStore
from backend.storage.disks import disk_notice
from backend.storage.feedback import FeedbackStore
from backend.storage.files import Damage
from backend.storage.galleries import GalleryStore
from backend.storage.models import ROOM_BYTES, ModelRegistry
from backend.storage.policies import Policy, PolicyStore
from backend.storage.projects import ProjectStore
from backend.storage.runs import RunStore
from backend.storage.sample_index import SampleIndex
from backend.storage.shared_folder import SharedFolder
from backend.storage.shared_models import SharedModelRegistry
from backend.storage.shared_runs import SharedRunStore
from wsol_core.errors import StorageError


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of versions, runs, projects, their policies, the ledger, the galleries, and what is to be connected.

    `damage`: what of it cannot be read. `samples`: a project's number -> what it teaches.
    """

    models: ModelRegistry
    runs: RunStore
    projects: ProjectStore
    policies: PolicyStore
    feedback: FeedbackStore
    connections: ConnectionStore
    damage: Damage
    galleries: GalleryStore
    samples: Callable[[str], SampleIndex]

    def require_model_store(self, project_id: str) -> None:
        """Raise StorageError where the project has trained versions, and the model store nothing of it: it is away."""
        if self.models.has_folder(project_id):
            return
        trained = next((run.version for run in self.runs.of_project(project_id) if run.version), None)
        if trained is not None:
            raise StorageError(
                f"{self.models.root} holds nothing of project {project_id}, which has {trained}: the model store is "
                f"away. Mount it; if its versions are gone for good, make the folder {self.models.root / project_id}."
            )

    def notices(self) -> list[str]:
        """Return what is wrong with files and disks, each in a sentence with its path and what to do."""
        disks = [disk_notice(self.runs.root), disk_notice(self.models.root, ROOM_BYTES)]
        return [*self.damage.notices(), *filter(None, disks), *filter(None, map(self._away, self._projects()))]

    def _away(self, project_id: str) -> str | None:
        try:
            self.require_model_store(project_id)
        except StorageError as error:
            return str(error)
        return None

    def _projects(self) -> list[str]:
        return [project.id for project in self.projects.all()]


def open_stores(settings: Settings) -> Stores:
    """Open the stores; nothing is made on disk before something is kept."""
    damage, home = Damage(), settings.home
    models, runs, projects, policies = _shared(settings, damage) if settings.bucket else _own(settings, damage)
    return Stores(
        models,
        runs,
        projects,
        policies,
        FeedbackStore(home / "feedback.sqlite", damage=damage),
        ConnectionStore(home / "connections", damage),
        damage,
        GalleryStore(home / "galleries"),
        partial(SampleIndex, home / "samples"),
    )


def _own(settings: Settings, damage: Damage) -> tuple[ModelRegistry, RunStore, ProjectStore, PolicyStore]:
    home = settings.home
    return (
        ModelRegistry(settings.models, damage),
        RunStore(home / "runs", damage),
        ProjectStore(home / "projects", damage),
        PolicyStore(home / "policies", Policy.of(settings), damage),
    )


def _shared(settings: Settings, damage: Damage) -> tuple[ModelRegistry, RunStore, ProjectStore, PolicyStore]:
    """Those of a bucket, with copies on this machine."""
    bucket, local = open_bucket(settings.bucket or ""), settings.models.parent
    projects, policies = (SharedFolder(bucket, name, local / name) for name in ("projects", "policies"))
    return (
        SharedModelRegistry(bucket, local, damage),
        SharedRunStore(bucket, local, damage),
        ProjectStore(projects.local, damage, projects),
        PolicyStore(policies.local, Policy.of(settings), damage, policies),
    )
