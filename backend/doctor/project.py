"""Checks of one project: its labeling config, its connection to us, its webhook, its pictures and labels."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from backend.doctor.checks import Finding, State, failed, ok, warning
from backend.errors import ImageError, LabelStudioError
from backend.images.image_store import ImageStore
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.label_config import LabelConfig, unknown_classes, unknown_sentence
from backend.labelstudio.task_labels import USUAL_KEYS, given_labels, image_reference
from backend.services.projects import ProjectService
from backend.settings import Settings
from backend.wording import a_few, counted

Json = dict[str, Any]

RESERVED = "reserved network address"
UNBLOCK = (
    "Start Label Studio with ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false: it refuses private addresses "
    "otherwise, names of Docker services included."
)
CONNECT = "Connect it in Label Studio: Settings, Model, Connect Model, with our address as Backend URL."
OURS = "boxstrap-"  # what the names of our versions begin with
MOST_TASKS = 1000  # whose labels are counted
ROUND_TRIP_S = 5.0
PICTURE_S = 8.0


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project as Label Studio shows it to the user whose token we have, and as we know it.

    `version` is what /setup tells Label Studio, `values` what Label Studio says of the project.
    """

    id: str
    settings: Settings
    client: LabelStudioClient
    projects: ProjectService
    version: str
    values: Json

    @property
    def config(self) -> LabelConfig:
        """RequestError where it has no meaning for us."""
        return self.projects.read_config(self.id, str(self.values.get("label_config") or ""))


def labeling_config(view: ProjectView) -> Finding:
    """There is something to fill with boxes or masks, and somewhere to learn classes from."""
    config = view.config
    kinds = ", ".join(dict.fromkeys(control.kind for control in config.region_controls))
    classes = ", ".join(config.classes)
    if not config.region_controls:
        return failed(
            f"nothing takes boxes or masks, only classes: {classes}",
            "Add a RectangleLabels, PolygonLabels, BrushLabels or BitmaskLabels tag with the same labels.",
        )
    if not config.choices and not config.label_keys:
        return warning(
            f"{kinds} of {classes}; no Choices tag and no class shown from the data",
            f"Add Choices with the same labels, or import tasks with a class as one of {', '.join(USUAL_KEYS)}.",
        )
    source = "Choices" if config.choices else "data." + ", data.".join(config.label_keys)
    found = f"{kinds} of {classes or 'labels that come with each task'}; classes from {source}"
    live = next((each for each in view.projects.published(view.id) if each.name == view.version), None)
    unknown = unknown_classes(config, live.facts.classes) if live else []
    remarks = [*config.remarks, *([unknown_sentence(view.id, view.version, unknown)] if unknown else [])]
    return warning(found, " ".join(remarks)) if remarks else ok(found)


def backend(view: ProjectView, url: str | None) -> Finding:
    """Label Studio has us as an ML backend of the project and reaches us.

    Args: url: our address as Label Studio should call it; None: any backend whose version is one of ours will do.
    """
    found = view.client.backends(view.id)
    if not found:
        return failed("no ML backend is connected", f"{CONNECT} If it says {RESERVED!r}: {_lower(UNBLOCK)}")
    ours = _ours(found, url)
    if ours is None:
        others = ", ".join(str(each.get("url")) for each in found)
        return failed(f"only other ML backends are connected: {others}", CONNECT)
    where, state = ours.get("url"), ours.get("readable_state") or ours.get("state")
    message = " ".join(str(ours.get("error_message") or "").split())[:300]
    if RESERVED in message:
        return failed(f"Label Studio refuses to call {where}: it is a {RESERVED}", UNBLOCK)
    if ours.get("state") not in ("CO", "PR", "TR"):
        return failed(
            f"{where} is {state}{': ' if message else ''}{message}",
            "See that `boxstrap serve` runs and that Label Studio's machine reaches that address; in Docker localhost "
            "is the container itself.",
        )
    told, known = ours.get("model_version"), view.version
    if told != known:
        return warning(
            f"{where} is {state} and serves {told}, while the live version here is {known}",
            "Give `boxstrap doctor` the BOXSTRAP_HOME and MODEL_DIR of the running service, or connect that address.",
        )
    faults = [fault for made in view.projects.published(view.id) if made.name == told for fault in made.facts.faults]
    if faults:
        return warning(f"{where} is {state} and serves {told}, which is unreliable", " ".join(faults))
    return ok(f"{where} is {state} and serves {told}")


def shown_predictions(view: ProjectView) -> Finding:
    """Whether annotators see predictions."""
    used = view.values.get("model_version")
    if not used:
        return warning(
            "Label Studio shows no predictions while labeling",
            "Choose Boxstrap in the project's Settings, Annotation, Use predictions to prelabel tasks.",
        )
    if view.values.get("show_collab_predictions") is False:
        return warning(
            "opening a task asks for no predictions", "Switch on prelabeling in the project's Settings, Annotation."
        )
    return ok(f"tasks are prelabeled by {used}")


def webhook(view: ProjectView, url: str | None) -> Finding:
    """Label Studio is to tell us of what people do."""
    wanted = _webhook_url(view, url)
    hooks = [hook for hook in view.client.webhooks(view.id) if _same(hook.get("url"), wanted)]
    if not hooks:
        return failed(
            f"there is no webhook to {wanted}",
            "Label Studio makes it when a backend is connected, unless it blocks private addresses: start Label Studio "
            "with SSRF_PROTECTION_ENABLED=false, then remove the backend and connect it again.",
        )
    hook = hooks[0]
    if not hook.get("is_active", True):
        return failed(f"the webhook to {wanted} is switched off", "Switch it on in Settings, Webhooks.")
    if not hook.get("send_payload", True):
        return failed(f"the webhook to {wanted} sends no payload", "Switch Send payload on in Settings, Webhooks.")
    if not hook.get("send_for_all_actions", True) and "PROJECT_UPDATED" not in hook.get("actions", ()):
        return warning(
            f"the webhook to {wanted} sends some events only", "Let it send all actions in Settings, Webhooks."
        )
    if view.settings.basic_auth_user and "Authorization" not in (hook.get("headers") or {}):
        return failed(
            f"the webhook to {wanted} sends no password, and BASIC_AUTH_USER is set",
            "Start `boxstrap worker predict` with LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, which adds it, then open "
            "the project's Settings, Model.",
        )
    return ok(f"all events go to {wanted}")


def round_trip(view: ProjectView, sleep: Callable[[float], None] = time.sleep) -> Finding:
    """Label Studio's events arrive: the project gets the title that it has, which makes Label Studio send one."""
    before = view.projects.last_event(view.id)
    view.client.update_project(view.id, title=view.values["title"])
    start = time.monotonic()
    while time.monotonic() - start < ROUND_TRIP_S:
        if view.projects.last_event(view.id) != before:
            return ok(f"an event came within {time.monotonic() - start:.1f} s")
        sleep(0.1)
    return failed(
        f"an event that Label Studio should have sent did not come within {ROUND_TRIP_S:g} s",
        "Start Label Studio with SSRF_PROTECTION_ENABLED=false (it drops webhooks to private addresses in silence), "
        "and see that its machine reaches us and that we use the same Redis as `boxstrap serve`.",
    )


def picture(view: ProjectView) -> Finding:
    """The first task's picture can be had, without our cache."""
    tasks = view.client.task_page(view.id, 0, 1)
    if not tasks:
        return warning("the project has no tasks", "Import pictures in Label Studio.")
    task, config = tasks[0], view.config
    with tempfile.TemporaryDirectory(prefix="boxstrap-doctor-") as folder:
        rules = replace(view.settings, home=Path(folder), image_timeout_s=min(view.settings.image_timeout_s, PICTURE_S))
        try:
            size = (
                ImageStore.from_settings(rules, view.client)
                .fetch(image_reference(task, config), view.id, task["id"])
                .stat()
            )
        except ImageError as error:
            return Finding(State.FAILED, f"task {task['id']}: {error}")
    return ok(f"task {task['id']}: {size.st_size / 1e3:,.0f} kB")


def labels(view: ProjectView) -> Finding:
    """Every class has pictures to learn from."""
    config = view.config
    counts = Counter(dict.fromkeys(config.classes, 0))
    tasks = 0
    for task in islice(view.client.tasks(view.id), MOST_TASKS):
        tasks += 1
        counts.update(given_labels(task, config))
    part = f" of the first {MOST_TASKS} tasks" if tasks == MOST_TASKS else f" of {tasks} tasks"
    found = ", ".join(f"{name} {count}" for name, count in counts.items()) + part
    if not any(counts.values()):
        return warning(
            f"no task has a class yet ({tasks} tasks)", "Choose classes for some tasks (Choices) and submit them."
        )
    enough = view.settings.train_min_per_class
    if few := [name for name, count in counts.items() if count < enough]:
        them = counted(enough, "picture")
        return warning(found, f"Label {them} or more of {a_few(few)}; a class without any is never predicted.")
    return ok(found)


def _webhook_url(view: ProjectView, url: str | None) -> str:
    """Where the webhook should lead: below the address of the backend that is connected."""
    try:
        ours = _ours(view.client.backends(view.id), url)
    except LabelStudioError:
        ours = None
    base = str((ours or {}).get("url") or url or f"http://{view.settings.host}:{view.settings.port}")
    return f"{base.rstrip('/')}/webhook"


def _ours(backends: list[Json], url: str | None) -> Json | None:
    """Our backend among a project's: the one at `url`, else one of our versions, else the only one."""
    if url is not None:
        return next((each for each in backends if _same(each.get("url"), url)), None)
    ours = (each for each in backends if str(each.get("model_version") or "").startswith(OURS))
    return next(ours, None) or (backends[0] if len(backends) == 1 and not _is_foreign(backends[0]) else None)


def _is_foreign(backend: Mapping[str, Any]) -> bool:
    """One that works and has another's version."""
    version = str(backend.get("model_version") or "")
    return bool(version) and backend.get("state") == "CO" and not version.startswith(OURS)


def _same(one: object, other: str) -> bool:
    return str(one).rstrip("/") == other.rstrip("/")


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
