"""The prediction that says that nothing was found; apart from results.py, so that the web process needs no numpy."""

from __future__ import annotations

from typing import Any


def empty_prediction(version: str) -> dict[str, Any]:
    """Valid, and stored by Label Studio like any other."""
    return {"result": [], "score": 0.0, "model_version": version}
