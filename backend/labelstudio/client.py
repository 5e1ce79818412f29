"""Label Studio's REST API as far as Boxstrap needs it: tasks, predictions, projects, backends, webhooks.

Answers stay plain JSON: the types of Label Studio's SDK drop what they do not know. See connection.py for how requests
are made, and images/image_store.py for pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from backend.errors import LabelStudioError
from backend.labelstudio.answers import list_in, rows_of
from backend.labelstudio.connection import LabelStudioConnection, status_of

PAGE = 100  # tasks a request: their annotations come along, masks included
DATA_PAGE = 1000  # tasks a request of their data alone
IMPORT_BATCH = 100  # predictions a request; Label Studio stores 500 at most at a time
MOST_COUNTED = 2000  # tasks of a project whose predictions are imported many at a time
PROJECT = "id,title,label_config,task_number,model_version,sampling,show_collab_predictions"  # counts all else, too
_DATETIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # the only way to write one that its filters take

Json = dict[str, Any]


class LabelStudioClient(LabelStudioConnection):
    """What there is to ask a Label Studio for."""

    def whoami(self) -> Json:
        """The user whose token it is."""
        return self._object("GET", "api/current-user/whoami")

    def project(self, project_id: str) -> Json:
        """The project: what we need of it, its labeling config among others."""
        return self._object("GET", f"api/projects/{project_id}/", params={"include": PROJECT})

    def has_project(self, project_id: str) -> bool:
        """Whether there is such a project; one that the token's user may not see is there."""
        return self._if_there("GET", f"api/projects/{project_id}/", params={"include": "id"})

    def tasks(self, project_id: str, after_id: int = 0, page_size: int = PAGE) -> Iterator[Json]:
        """Tasks with annotations and predictions, ordered by id, those above `after_id`.

        Pages are asked for by id, not by number: the hundredth costs what the first does, and tasks that come or go
        meanwhile shift nothing.
        """
        while True:
            tasks = self.task_page(project_id, after_id, page_size)
            yield from tasks
            if len(tasks) < page_size:
                return
            after_id = int(tasks[-1]["id"])

    def task_page(
        self, project_id: str, after_id: int, page_size: int = PAGE, changed_after: datetime | None = None
    ) -> list[Json]:
        """At most `page_size` tasks of `tasks`.

        Args: changed_after: only tasks that were changed later than that, by Label Studio's clock. People's annotations
            change a task when they are made, changed or deleted, one or many at a time; new predictions do not.
        """
        filters = [_id_above(after_id)]
        if changed_after is not None:
            filters.append(_filter("updated_at", "Datetime", "greater", _written(changed_after)))
        found = self._tasks(project_id, ["tasks:id"], filters, page_size, fields="all")
        return _really_above(after_id, found)

    def newest_change(self, project_id: str, after: datetime | None = None) -> datetime | None:
        """When a task was changed last, by Label Studio's clock; None where none was, or none later than `after`."""
        later = [] if after is None else [_filter("updated_at", "Datetime", "greater", _written(after))]
        tasks = self._tasks(project_id, ["-tasks:updated_at"], later, 1)
        return datetime.fromisoformat(str(tasks[0]["updated_at"])) if tasks else None

    def task_data(self, project_id: str) -> Iterator[Json]:
        """The data of all tasks, ordered by id, as it was imported."""
        after_id = 0
        while True:
            wanted = {"fields": "task_only", "include": "id,data", "resolve_uri": "false"}
            tasks = _really_above(
                after_id, self._tasks(project_id, ["tasks:id"], [_id_above(after_id)], DATA_PAGE, **wanted)
            )
            yield from (task["data"] for task in tasks if isinstance(task.get("data"), dict))
            if len(tasks) < DATA_PAGE:
                return
            after_id = int(tasks[-1]["id"])

    def last_task(self, project_id: str) -> int:
        """The largest id of a task; 0 where there is none."""
        tasks = self._tasks(project_id, ["-tasks:id"], [], 1)
        return int(tasks[0]["id"]) if tasks else 0

    def count_tasks(self, project_id: str, above_id: int, up_to_id: int) -> int:
        """How many tasks have ids above the one and not above the other."""
        filters = [_id_above(above_id), _id_up_to(up_to_id)]
        return int(self._query(project_id, ["tasks:id"], filters, 1).get("total") or 0)

    def _tasks(
        self, project_id: str, ordering: list[str], filters: list[Json], page_size: int, **more: str
    ) -> list[Json]:
        return list_in(self._query(project_id, ordering, filters, page_size, **more), "tasks")

    def _query(self, project_id: str, ordering: list[str], filters: list[Json], page_size: int, **more: str) -> Json:
        query = {"filters": {"conjunction": "and", "items": filters}, "ordering": ordering}
        # Unresolved, so that the addresses are those of the storages; see images/references.py for the others.
        as_stored = {"resolve_uri": "false"}
        params = {"project": project_id, "page_size": page_size, "query": json.dumps(query), **as_stored, **more}
        return self._object("GET", "api/tasks/", params=params)

    def import_predictions(
        self, project_id: str, predictions: Sequence[Mapping[str, Any]], label_config: str = "", tasks: int = 0
    ) -> None:
        """Stores predictions, each with `task`, `result`, `score` and `model_version`.

        The check of Label Studio's import knows less than its editor: it drops nested Choices, what a Repeater repeats,
        and the Labels of a Brush. Those are stored one by one, as its own calls of backends are, unchecked. So are all
        in a large project, since each import counts the predictions of all its tasks anew, for minutes.

        Args: label_config: what the predictions were checked by. tasks: how many the project has.
        Raises: LabelStudioError where some are dropped, and the project has another config by now.
        """
        if tasks > MOST_COUNTED:
            self._store_each(project_id, predictions)
            return
        for start in range(0, len(predictions), IMPORT_BATCH):
            batch = [dict(prediction) for prediction in predictions[start : start + IMPORT_BATCH]]
            done = self._object("POST", f"api/projects/{project_id}/import/predictions", json=batch)
            if (created := done.get("created")) == len(batch):
                continue
            if self.project(project_id).get("label_config") != label_config:
                raise LabelStudioError(
                    f"Label Studio stored {created} of {len(batch)} predictions of project {project_id}; "
                    "its labeling config may have changed meanwhile."
                )
            self._store_each(project_id, [each for each in batch if not (created and self._is_stored(each))])

    def _store_each(self, project_id: str, predictions: Sequence[Mapping[str, Any]]) -> None:
        for prediction in predictions:
            self._object("POST", "api/predictions/", json={**prediction, "project": project_id})

    def _is_stored(self, prediction: Mapping[str, Any]) -> bool:
        of_task = rows_of(self._json("GET", "api/predictions/", params={"task": prediction["task"]}))
        return any(each.get("model_version") == prediction["model_version"] for each in of_task)

    def change_prediction(self, prediction_id: int, **changes: Any) -> bool:
        """Writes over parts of a prediction; whether it is still there."""
        return self._if_there("PATCH", f"api/predictions/{prediction_id}/", json=changes)

    def delete_prediction(self, prediction_id: int) -> bool:
        """Removes a prediction; whether it was still there."""
        return self._if_there("DELETE", f"api/predictions/{prediction_id}/")

    def add_draft(self, task_id: int, annotation_id: int, result: Sequence[Mapping[str, Any]]) -> None:
        """Keeps a draft of an annotation, seen by the token's user alone."""
        path = f"api/tasks/{task_id}/annotations/{annotation_id}/drafts"
        self._object("POST", path, json={"result": list(result), "lead_time": 0})

    def draft(self, draft_id: int) -> Json | None:
        """The draft; None where it is gone."""
        try:
            return self._object("GET", f"api/drafts/{draft_id}/")
        except LabelStudioError as error:
            if status_of(error) == 404:
                return None
            raise

    def change_draft(self, draft_id: int, result: Sequence[Mapping[str, Any]]) -> bool:
        """Writes over a draft; whether it is still there."""
        return self._if_there("PATCH", f"api/drafts/{draft_id}/", json={"result": list(result)})

    def model_versions(self, project_id: str) -> dict[str, int]:
        """How many predictions of each version the project has."""
        return self._object("GET", f"api/projects/{project_id}/model-versions")

    def delete_predictions(self, project_id: str, version: str) -> int:
        """Removes the predictions of a version; how many there were."""
        done = self._object("DELETE", f"api/projects/{project_id}/model-versions/", json={"model_version": version})
        return int(done.get("deleted_predictions", 0))

    def update_project(self, project_id: str, **changes: Any) -> Json:
        """The project with `changes`."""
        return self._object("PATCH", f"api/projects/{project_id}/", json=changes)

    def backends(self, project_id: str) -> list[Json]:
        """The project's ML backends; asking makes Label Studio call their /health and /setup."""
        return rows_of(self._json("GET", "api/ml", params={"project": project_id}))

    def webhooks(self, project_id: str) -> list[Json]:
        """The project's webhooks."""
        return rows_of(self._json("GET", "api/webhooks/", params={"project": project_id}))

    def update_webhook(self, webhook_id: int, **changes: Any) -> Json:
        """The webhook with `changes`, its headers for example."""
        return self._object("PATCH", f"api/webhooks/{webhook_id}/", json=changes)


def _filter(column: str, kind: str, operator: str, value: object) -> Json:
    """A filter of the data manager."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _id_above(task_id: int) -> Json:
    return _filter("id", "Number", "greater", task_id)


def _really_above(task_id: int, tasks: list[Json]) -> list[Json]:
    """Return tasks by their ids. Raises: LabelStudioError where one was not asked for: reading on would never end."""
    found = sorted(tasks, key=lambda task: int(task["id"]))
    if found and int(found[0]["id"]) <= task_id:
        raise LabelStudioError(
            f"Label Studio gave task {found[0]['id']}, though those above {task_id} were asked for; does something "
            "between us and it, such as a proxy, drop what requests ask for?"
        )
    return found


def _id_up_to(task_id: int) -> Json:
    return _filter("id", "Number", "less_or_equal", task_id)


def _written(moment: datetime) -> str:
    """A time as filters take it."""
    return moment.astimezone(UTC).strftime(_DATETIME)
