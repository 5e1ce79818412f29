"""/api/projects/N/policy and /loop: seen, changed, and refused where a value has no meaning."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from backend.storage.ledger_rows import LedgerRow, Outcome
from backend.storage.sync_cursor import SyncCursor
from tests.backend.web.serving import Site, code_of

DEFAULT = {
    "every": 0,
    "cron": "",
    "quiet": "",
    "min_per_class": 5,
    "gate": "auto",
    "sampling": "",
    "score_threshold": None,
}


def patch(site: Site, body: Any, project: str = "7") -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return site.client.patch(f"/api/projects/{project}/policy", content=json.dumps(body), headers=headers)


def test_a_policy_is_shown_and_changed_in_parts(site: Site) -> None:
    site.set_up()
    assert site.client.get("/api/projects/7/policy").json() == DEFAULT
    assert patch(site, {"every": 20, "score_threshold": 0.5}).json() == {**DEFAULT, "every": 20, "score_threshold": 0.5}
    changed = patch(site, {"cron": "0 3 * * *", "quiet": "08:00-18:00", "gate": "suggest", "score_threshold": None})
    assert changed.status_code == 200
    expected = {**DEFAULT, "every": 20, "cron": "0 3 * * *", "quiet": "08:00-18:00", "gate": "suggest"}
    assert changed.json() == site.client.get("/api/projects/7/policy").json() == expected
    assert patch(site, {}).json() == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"every": -1}, "every is -1"),
        ({"cron": "at night"}, "cron is 'at night'; write a cron expression of five fields, such as '0 3 * * *'."),
        ({"quiet": "22-7"}, "such as 22:00-07:00"),
        ({"gate": "open"}, "choose one of 'auto', 'suggest', 'manual'"),
        ({"score_threshold": 2}, "score_threshold is 2"),
        ({"every": "20"}, "body.every"),
        ({"every": True}, "body.every"),
        ({"every": None}, "body.every"),
        ({"evry": 20}, "body.evry"),
        ([], "body"),
    ],
)
def test_what_has_no_meaning_is_named_and_changes_nothing(site: Site, body: Any, said: str) -> None:
    site.set_up()
    patch(site, {"every": 7})
    answer = patch(site, body)
    assert (answer.status_code, code_of(answer)) == (422, "bad_request")
    assert said in answer.json()["error"]["message"]
    assert site.client.get("/api/projects/7/policy").json() == {**DEFAULT, "every": 7}


def test_only_json_changes_a_policy(site: Site) -> None:
    site.set_up()
    answer = site.client.patch("/api/projects/7/policy", content='{"every": 3}', headers={"Content-Type": "text/plain"})
    assert (answer.status_code, code_of(answer)) == (415, "not_json")


def test_a_project_nobody_knows_has_neither(site: Site) -> None:
    for answer in (site.client.get("/api/projects/7/policy"), site.client.get("/api/projects/7/loop"), patch(site, {})):
        assert (answer.status_code, code_of(answer)) == (404, "not_found")


def test_the_loop_says_why_nothing_starts_and_counts_tasks(site: Site) -> None:
    site.set_up()
    patch(site, {"every": 20})
    site.stores.feedback.put("7", [LedgerRow(task, Outcome.CORRECTED, ("fish",)) for task in (1, 2)])
    site.stores.feedback.set_cursor("7", SyncCursor(synced=time.time()))
    found = site.client.get("/api/projects/7/loop").json()
    assert found["reason"] == "The first training waits until every class has 5 pictures: fish has 2."
    assert (found["project"], found["starts"], found["corrected"]) == ("7", False, 2)
    assert (found["class_counts"], found["outcomes"]) == ({"fish": 2}, {"corrected": 2})
    assert abs(found["observed"] - time.time()) < 60
