"""BoxstrapModel: the service as a model of label-studio-ml, its version 1.0.9 (PyPI's newest) and 2.x (git) alike.

A thin adapter over backend/services; model_server.py puts it behind label-studio-ml's server. Training and prediction
run in `boxstrap worker`, as with `boxstrap serve`. Needs the extra `boxstrap[label-studio-ml]`.
"""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from backend.errors import RequestError
from backend.services.projects import project_number
from backend.settings import Settings
from backend.wiring import Parts, build

Json = dict[str, Any]


@contextmanager
def _torch_out_of_sight() -> Iterator[None]:
    """Imports inside find no torch.

    label_studio_ml.model imports torch for nothing but torch.multiprocessing, and takes Python's own where there is no
    torch. Torch would cost this process 4 seconds and 500 MB, and the start method of all its processes would change
    behind its back. What has loaded torch already keeps it.
    """
    loaded = sys.modules.get("torch")
    sys.modules["torch"] = None  # type: ignore[assignment]  # Python's own sign for "cannot be imported"
    try:
        yield
    finally:
        if loaded is None:
            sys.modules.pop("torch", None)
        else:
            sys.modules["torch"] = loaded


try:
    # Warnings about the syntax of label-studio-ml and its Flask are for their authors.
    with _torch_out_of_sight(), warnings.catch_warnings(action="ignore"):
        from flask import has_request_context, request
        from label_studio_ml.model import LabelStudioMLBase  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error}; BoxstrapModel needs the extra label-studio-ml: pip install 'boxstrap[label-studio-ml]'. "
        "`boxstrap serve` does without it.",
        name=error.name,
    ) from error

IS_V2 = "project_id" in inspect.signature(LabelStudioMLBase.__init__).parameters


@functools.cache
def parts() -> Parts:
    """The service of this process, as the environment says; nothing is connected to before it is needed."""
    return build(Settings.from_env())


class BoxstrapModel(LabelStudioMLBase):  # type: ignore[misc]
    """One project for the time of a request; what lasts is in the stores and in Redis.

    2.x gives the project's number to the constructor. 1.0.9 knows none, so there it is read from the tasks and events.
    """

    TRAIN_EVENTS = ("START_TRAINING", "PROJECT_UPDATED")  # those that 1.0.9 calls `fit` for; its own lack the button

    def __init__(
        self,
        project_id: str | None = None,
        label_config: str | None = None,
        train_output: Json | None = None,
        **kwargs: Any,
    ) -> None:
        self._values: Json = {}
        self._number = project_number(project_id) if project_id else ""
        if IS_V2:
            super().__init__(project_id=self._number, label_config=label_config)
        else:
            super().__init__(label_config=label_config, train_output=train_output, **kwargs)
            self.setup()

    def setup(self) -> None:
        """Remembers the project and its labeling config; 2.x calls it on every request, so it is quick."""
        if self._number and self.label_config:
            hostname = getattr(self, "hostname", None) or ""
            parts().services.projects.set_up(self._number, self.label_config, hostname, _own_url())

    @property
    def version(self) -> str:
        """What Label Studio is told: the live version's name, also before there is one."""
        return parts().stores.models.label(self._number)

    def predict(
        self, tasks: Sequence[Mapping[str, Any]], context: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[Json]:
        """One prediction a task, in their order; before the first training they are empty.

        Raises: BusyError where no worker answers in time, RequestError where the labeling config is not known.
        """
        if not tasks:
            return []
        number = self._number or project_number(tasks[0].get("project"))
        services = parts().services
        label_config = self.label_config or services.projects.label_config(number)
        if not label_config:
            raise RequestError(f"The labeling config of project {number} is not known; call /setup first.")
        found = services.predictions.predict(number, label_config, tasks, context or None)
        if self._number:
            return found
        # 1.0.9's own manager made this model. It tells Label Studio a version of its own making, and predictions of
        # any other version are stored once more on every request; without one they count as that version's.
        return [{name: value for name, value in one.items() if name != "model_version"} for one in found]

    def fit(self, *args: Any, event: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any) -> Json:
        """Takes an event: "Start training" puts a run on the queue and names it. Nothing is trained here.

        1.0.9 calls fit((), event=..., data=...), 2.x fit(event, data).
        """
        if args and isinstance(args[0], str):
            event, data = args[0], args[1] if len(args) > 1 else data
        project = (data or {}).get("project") or {}
        number = project_number(project.get("id") or self._number)
        services = parts().services
        services.projects.record_event(number, event or "")
        services.projects.changed(number, project.get("label_config") or "", project.get("title") or "")
        if event == "START_TRAINING":
            return {"status": "queued", "job": services.training.start(number).id}
        return {"status": "noted"}

    def get(self, key: str) -> Any:
        """2.x keeps a model's values in a file that other processes read once only; the registry knows the version."""
        if key == "model_version" and self._number:
            return self.version
        return self._values.get(key)

    def set(self, key: str, value: Any) -> None:
        """For the time of this request; so `extra_params`, which nothing here reads, may be any JSON."""
        self._values[key] = value

    def has(self, key: str) -> bool:
        """Whether `get` gives something."""
        return self.get(key) is not None


def _own_url() -> str:
    """Our address as Label Studio reached it."""
    return request.url_root.rstrip("/") if has_request_context() else ""
