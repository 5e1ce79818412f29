"""Arguments of jobs cross Redis as the JSON that earlier versions wrote and read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.queueing.messages import PreannotationChunk, PredictionRequest

REQUEST: dict[str, Any] = {
    "project_id": "7",
    "version": "boxstrap-7-0001",
    "label_config": "<View/>",
    "tasks": [{"id": 1, "data": {"image": "data:"}}],
    "files": {"0": "/cache/picture"},
    "context": None,
}


def test_a_prediction_request_has_one_json() -> None:
    request = PredictionRequest.from_dict(REQUEST)
    assert request.files == {0: Path("/cache/picture")}
    assert json.loads(json.dumps(request.to_dict())) == REQUEST


def test_a_request_without_files_and_context_is_read() -> None:
    request = PredictionRequest.from_dict({name: REQUEST[name] for name in REQUEST if name not in ("files", "context")})
    assert (request.files, request.context) == ({}, None)


def test_a_chunk_has_one_json() -> None:
    values = {"project_id": "7", "version": "boxstrap-7-0001", "after_id": 64, "seen": 64, "done": 60}
    assert PreannotationChunk.from_dict(values).to_dict() == {**values, "drafts": None, "left_out": {}, "empty": 0}
