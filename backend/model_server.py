"""label-studio-ml's own Flask server with BoxstrapModel behind it; `boxstrap serve` has more to offer.

1.0.9's server hands everything to a manager that keeps one model for all projects, calls versions by numbers (on which
Label Studio's labelling page breaks), refuses /predict before /setup and starts a process for every event. Here the
same routes get a manager that makes a model for each request, as 2.x does by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from flask import Flask, Response, jsonify, request

from backend.basic_auth import refuse
from backend.errors import BackendError
from backend.model import IS_V2, BoxstrapModel, parts
from backend.services.projects import project_number
from backend.storage.runs import RunState

Json = dict[str, Any]


def make_app() -> Flask:
    """The Flask application of label-studio-ml, which has one in a process; it asks for the settings' password."""
    settings = parts().settings
    from label_studio_ml import api  # type: ignore[import-untyped]  # torch would come along before backend.model

    logging.getLogger(api.__name__).setLevel(logging.INFO)  # below that it writes headers and bodies, tokens included
    if IS_V2:
        # Its route drops all other events unseen; this one also tells `boxstrap doctor` that events arrive.
        api.TRAIN_EVENTS = (*api.TRAIN_EVENTS, "PROJECT_UPDATED")
        app: Flask = api.init_app(BoxstrapModel, settings.basic_auth_user, settings.basic_auth_pass)
    else:
        api._manager = RequestManager()
        app = api.init_app(BoxstrapModel)
        app.before_request(_refused)
    app.register_error_handler(BackendError, _error)
    return app


class RequestManager:
    """What 1.0.9's routes call, in place of its LabelStudioMLManager."""

    model_dir = None  # /health shows it

    def initialize(self, model_class: type, **_unused: Any) -> None:
        """1.0.9's init_app calls it; there is but one class here."""

    def fetch(self, project: object, label_config: str | None = None, *_: Any, **kwargs: Any) -> SimpleNamespace:
        """/setup: remembers the project; `model_version` of what is returned is the answer."""
        with _our_errors():
            number, hostname = project_number(project), kwargs.get("hostname") or ""
            return SimpleNamespace(model_version=BoxstrapModel(number, label_config, hostname=hostname).version)

    def predict(
        self,
        tasks: Sequence[Mapping[str, Any]],
        project: object = None,
        label_config: str | None = None,
        *_: Any,
        context: Mapping[str, Any] | None = None,
        **__: Any,
    ) -> tuple[list[Json], SimpleNamespace]:
        """/predict: predictions and their version."""
        with _our_errors():
            known = project if project is not None or not tasks else tasks[0].get("project")
            model = BoxstrapModel(project_number(known))
            model.label_config = label_config
            return model.predict(tasks, context), SimpleNamespace(model_version=model.version)

    def webhook(self, event: str, data: Mapping[str, Any]) -> Json:
        """/webhook: takes the event at once, since all it can lead to is a job on the queue."""
        return BoxstrapModel().fit(event, data) if data.get("project") else {"status": "ignored"}

    def train(self, _tasks: object, project: object = None, *_: Any, **__: Any) -> Any:
        """/train, the button of old Label Studios; the answer's `id` is the job's."""
        with _our_errors():
            return parts().services.training.start(project_number(project))

    def is_training(self, project: object) -> Json:
        """/is_training."""
        with _our_errors():
            runs = parts().services.training.runs(project_number(project))
        return {"is_training": any(run.state == RunState.RUNNING for run in runs)}

    def _get_models_from_workdir(self, project: object) -> list[str]:
        """/versions."""
        with _our_errors():
            return parts().services.projects.versions(project_number(project))


@contextmanager
def _our_errors() -> Iterator[None]:
    """Inside, our errors become 1.0.9's own, which it answers with their status; all others it answers with 500."""
    from label_studio_ml.exceptions import AnswerException  # type: ignore[import-untyped]

    try:
        yield
    except BackendError as error:
        raise AnswerException(error.status, str(error), {"traceback": ""}) from error


def _refused() -> tuple[Response, int] | None:
    """The answer to a caller without the settings' name and password; None where there is none to give."""
    refusal = refuse(parts().settings, request.path, request.headers.get("Authorization", ""))
    return None if refusal is None else _error(refusal)


def _error(error: BackendError) -> tuple[Response, int]:
    return jsonify({"error": {"code": error.code, "message": str(error)}}), error.status
