"""What pre-annotating a project would write into Label Studio, task by task, without writing it: `--dry-run`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from backend.errors import LabelStudioError, NotFoundError
from backend.terminal import say, spinner, write_json, write_result

if TYPE_CHECKING:
    from backend.labelstudio.client import LabelStudioClient
    from backend.wiring import Parts

NEXT_VERSION = "its next version"  # stands for the name of one that is still to be trained
NEW, REPLACED, KEPT, LEFT = "predicted for the first time", "replaced", "as they are", "left alone"


def show_rehearsal(parts: Parts, project: str, version: str | None, as_json: bool, anew: bool = False) -> None:
    """Count on stdout what a version's pre-annotation would do with the tasks of a project.

    Raises: NotFoundError where the project has no version. LabelStudioError where its tasks cannot be read.
    """
    from backend.labelstudio.client import LabelStudioClient

    settings = parts.settings
    if version is None:
        raise NotFoundError(f"Project {project} has no live version; train one first.")
    if not (settings.label_studio_url and settings.label_studio_api_key):
        raise LabelStudioError(
            "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not both set, so the tasks cannot be read; set both."
        )
    client = LabelStudioClient(settings.label_studio_url, settings.label_studio_api_key)
    try:
        with spinner("Reading tasks"):
            counts = rehearse(client, project, version, anew)
    finally:
        client.close()
    if as_json:
        write_json({"project": project, "version": version, "dry_run": True, "tasks": counts})
        return
    facts = {f"predictions {name}": str(counts[name]) for name in (NEW, REPLACED, KEPT)}
    if not settings.preannotate:
        say(f"PREANNOTATE is 0, so nothing but `boxstrap preannotate {project}` writes predictions.")
    facts["tasks that people worked on"] = f"{counts[LEFT]}, left alone"
    write_result(f"Nothing is written; with {version} project {project} would get", facts)


def rehearse(client: LabelStudioClient, project: str, version: str, anew: bool = False) -> dict[str, int]:
    """Return how many tasks would get their first prediction, a new one, stay as they are, or be left to people."""
    from backend.labelstudio.label_config import LabelConfig
    from backend.labelstudio.prediction_replacement import plan_replacement

    config = LabelConfig.parse(str(client.project(project).get("label_config", "")))
    counts = Counter(dict.fromkeys((NEW, REPLACED, KEPT, LEFT), 0))
    for task in client.tasks(project):
        plan = plan_replacement(task, project, version, config, anew)
        if plan is None:
            counts[LEFT] += 1
        elif plan.current is not None:
            counts[KEPT] += 1
        else:
            counts[REPLACED if plan.over is not None or plan.superfluous else NEW] += 1
    return dict(counts)
