"""What is in Label Studio's answers: lists, and what it says is wrong."""

from __future__ import annotations

import json
from typing import Any

from backend.errors import LabelStudioError

Json = dict[str, Any]


def detail_of(text: str) -> str:
    """What Label Studio says is wrong, in one short line."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text[:200]
    if isinstance(body, dict):
        body = body.get("validation_errors") or body.get("detail", body)
    return str(body)[:300]


def list_in(values: Json, key: str) -> list[Json]:
    """The list under a key. Raises: LabelStudioError where there is none."""
    found = values.get(key)
    if not isinstance(found, list):
        raise LabelStudioError(f"Label Studio's answer has no list {key!r}; its version may be too old or too new.")
    return found


def rows_of(values: Any) -> list[Json]:
    """The records of an answer that may come in pages, or as one list."""
    return values if isinstance(values, list) else list_in(values, "results")
