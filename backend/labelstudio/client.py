"""Label Studio's REST API as far as Boxstrap needs it: tasks, predictions, projects, backends, webhooks.

Answers stay plain JSON: the types of Label Studio's SDK drop what they do not know. See token_auth.py for how requests
are signed, and images/image_store.py for pictures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx

from backend.errors import UNTRUSTED, LabelStudioError, UnreachableError, is_untrusted_certificate
from backend.labelstudio.answers import detail_of, list_in, rows_of
from backend.labelstudio.token_auth import REFRESH_PATH, TokenAuth

PAGE = 100  # tasks a request: their annotations come along, masks included
DATA_PAGE = 1000  # tasks a request of their data alone
IMPORT_BATCH = 100  # predictions a request; Label Studio stores 500 at most at a time
FOR_NOW = (408, 425, 429, 500, 502, 503, 504)
WAITS_S = (0.5, 1.0, 2.0)
_DATETIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # the only way to write one that its filters take

Json = dict[str, Any]
Result = TypeVar("Result")


class LabelStudioClient:
    """One Label Studio server, seen as the user whose token it is."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timeout_s: float = 30.0,
        waits_s: Sequence[float] = WAITS_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: waits_s: before each new attempt at a server that does not answer for now.

        Raises: LabelStudioError where the token has expired.
        """
        self.base_url = base_url.rstrip("/")
        self._waits_s, self._sleep = waits_s, sleep
        self._http = httpx.Client(timeout=timeout_s, follow_redirects=False, headers={"User-Agent": "boxstrap"})
        self._http.auth = self._auth = TokenAuth(self._http, self.base_url, api_key)

    def close(self) -> None:
        """Lets go of the connections."""
        self._http.close()

    def authorization(self) -> str:
        """The Authorization header of a request now; personal tokens are exchanged for a short-lived one."""
        return self._attempt(REFRESH_PATH, self._auth.header)

    def whoami(self) -> Json:
        """The user whose token it is."""
        return self._object("GET", "api/current-user/whoami")

    def project(self, project_id: str) -> Json:
        """The project, its labeling config among others."""
        return self._object("GET", f"api/projects/{project_id}/")

    def has_project(self, project_id: str) -> bool:
        """Whether there is such a project; one that the token's user may not see is there."""
        return self._if_there("GET", f"api/projects/{project_id}/")

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
        items = [_id_above(after_id)]
        if changed_after is not None:
            since = changed_after.astimezone(UTC).strftime(_DATETIME)
            items.append(_filter("updated_at", "Datetime", "greater", since))
        found = self._tasks(project_id, ["tasks:id"], items, page_size, fields="all")
        return sorted(found, key=lambda task: int(task["id"]))

    def newest_change(self, project_id: str) -> datetime | None:
        """When a task of the project was changed last, by Label Studio's clock; None where it has none."""
        tasks = self._tasks(project_id, ["-tasks:updated_at"], [], 1)
        return datetime.fromisoformat(str(tasks[0]["updated_at"])) if tasks else None

    def task_data(self, project_id: str) -> Iterator[Json]:
        """The data of all tasks, ordered by id, as it was imported."""
        after_id = 0
        while True:
            wanted = {"fields": "task_only", "include": "id,data", "resolve_uri": "false"}
            tasks = self._tasks(project_id, ["tasks:id"], [_id_above(after_id)], DATA_PAGE, **wanted)
            yield from (task["data"] for task in tasks if isinstance(task.get("data"), dict))
            if len(tasks) < DATA_PAGE:
                return
            after_id = max(int(task["id"]) for task in tasks)

    def last_task(self, project_id: str) -> int:
        """The largest id of a task; 0 where there is none."""
        tasks = self._tasks(project_id, ["-tasks:id"], [], 1)
        return int(tasks[0]["id"]) if tasks else 0

    def count_tasks(self, project_id: str, above_id: int, up_to_id: int) -> int:
        """How many tasks have ids above the one and not above the other."""
        filters = [_id_above(above_id), _filter("id", "Number", "less_or_equal", up_to_id)]
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

    def import_predictions(self, project_id: str, predictions: Sequence[Mapping[str, Any]]) -> None:
        """Stores predictions, each with `task`, `result`, `score` and `model_version`.

        Raises: LabelStudioError where Label Studio stored fewer than it was given; it drops bad ones silently.
        """
        for start in range(0, len(predictions), IMPORT_BATCH):
            batch = [dict(prediction) for prediction in predictions[start : start + IMPORT_BATCH]]
            done = self._object("POST", f"api/projects/{project_id}/import/predictions", json=batch)
            if done.get("created") != len(batch):
                raise LabelStudioError(
                    f"Label Studio stored {done.get('created')} of {len(batch)} predictions of project {project_id}; "
                    "its labeling config may have changed meanwhile."
                )

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

    def _if_there(self, method: str, path: str, **what: Any) -> bool:
        try:
            self._json(method, path, **what)
        except LabelStudioError as error:
            if status_of(error) == 404:
                return False
            raise
        return True

    def _object(self, method: str, path: str, **what: Any) -> Json:
        found = self._json(method, path, **what)
        if not isinstance(found, dict):
            raise LabelStudioError(
                f"{self.base_url}/{path} answered no JSON object; is LABEL_STUDIO_URL a Label Studio?"
            )
        return found

    def _json(self, method: str, path: str, **what: Any) -> Any:
        response = self._attempt(path, lambda: self._request(method, path, what))
        try:
            return response.json() if response.content else {}
        except ValueError as error:
            raise LabelStudioError(
                f"{self.base_url}/{path} answered no JSON; is LABEL_STUDIO_URL a Label Studio?"
            ) from error

    def _request(self, method: str, path: str, what: Mapping[str, Any]) -> httpx.Response:
        return self._http.request(method, f"{self.base_url}/{path}", **what).raise_for_status()

    def _attempt(self, path: str, ask: Callable[[], Result]) -> Result:
        """What `ask` gives; again after a while where the server does not answer for now."""
        for wait_s in (*self._waits_s, None):
            try:
                return ask()
            except httpx.HTTPStatusError as error:
                problem = self._problem(path, error.response)
                if wait_s is None or not isinstance(problem, UnreachableError):
                    raise problem from error
            except httpx.HTTPError as error:
                if is_untrusted_certificate(error):
                    raise LabelStudioError(f"Label Studio at {self.base_url}: {UNTRUSTED}.") from error
                if wait_s is None:
                    raise UnreachableError(
                        f"Label Studio at {self.base_url} does not answer ({type(error).__name__}); "
                        "is it running, and is LABEL_STUDIO_URL the address as seen from this machine?"
                    ) from error
            self._sleep(wait_s)
        raise AssertionError("unreachable")

    def _problem(self, path: str, response: httpx.Response) -> LabelStudioError:
        status, place = response.status_code, f"{self.base_url}/{path}"
        if 300 <= status < 400:
            return LabelStudioError(
                f"{place} redirects to {redirected(response, path)}; set LABEL_STUDIO_URL to that, or to the address "
                "that Label Studio has itself."
            )
        if status in FOR_NOW:
            return UnreachableError(f"{place} answered {status}; Label Studio may be starting or overloaded.")
        if status == 401:
            return LabelStudioError(
                f"{place} answered 401: {detail_of(response.text)} Set LABEL_STUDIO_API_KEY to an access token from "
                "Account & Settings; legacy tokens have to be switched on there first."
            )
        if status in (403, 404):
            return LabelStudioError(f"{place} answered {status}; does the token's user see this project?")
        return LabelStudioError(f"{place} answered {status}: {detail_of(response.text)}")


def status_of(error: LabelStudioError) -> int | None:
    """The HTTP status that Label Studio answered with; None where it did not answer."""
    return error.__cause__.response.status_code if isinstance(error.__cause__, httpx.HTTPStatusError) else None


def redirected(response: httpx.Response, path: str) -> str:
    """Where a redirect leads, without the path that was asked for."""
    target = str(response.url.join(response.headers.get("location", "")))
    return target.partition("?")[0].rstrip("/").removesuffix(path.partition("?")[0].strip("/")).rstrip("/")


def _filter(column: str, kind: str, operator: str, value: object) -> Json:
    """A filter of the data manager."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _id_above(task_id: int) -> Json:
    return _filter("id", "Number", "greater", task_id)
