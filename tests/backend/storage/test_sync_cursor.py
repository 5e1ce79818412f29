"""The cursor's JSON is the one that earlier versions wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.storage.sync_cursor import SyncCursor

READ = {"updated_at": "2026-11-03T10:00:00+00:00", "config": "ab", "answered": {"full": 1}, "full_scan": 1.5}
SCAN = {"full": False, "after_id": 100, "began": 2.5, "updated_at": "2026-11-04", "config": "ab", "answered": {}}


@pytest.mark.parametrize("values", [{**READ, "observed": 3.5}, {**READ, "observed": 3.5, "scan": SCAN}])
def test_it_comes_back_from_json_as_it_was(values: dict[str, Any]) -> None:
    assert json.loads(json.dumps(SyncCursor.from_dict(values).to_dict())) == values


def test_a_first_scan_that_was_killed_is_read() -> None:
    cursor = SyncCursor.from_dict({"scan": SCAN})
    assert (cursor.updated_at, cursor.synced) == ("", None)
    assert cursor.scan is not None and cursor.scan.after_id == 100
