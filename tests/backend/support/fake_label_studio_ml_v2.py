"""A stand-in for the base class of label-studio-ml 2.x, which PyPI does not have: what its constructor and its routes
do with a model, by its documentation. 1.0.9 is installed and is tested itself.
"""

from __future__ import annotations

from typing import Any


class FakeBaseV2:
    """Like 2.x's: values by key, read-only properties for the labeling config and the version."""

    def __init__(self, project_id: str | None = None, label_config: str | None = None) -> None:
        self.project_id = project_id or ""
        if label_config is not None and self.get("label_config") != label_config:
            self.set("label_config", label_config)
        if not self.model_version:
            self.set("model_version", "0.0.1")
        self.setup()

    def setup(self) -> None:
        """For models to override."""

    def get(self, key: str) -> Any:
        raise AssertionError("2.x reads a file here, which other processes' writes do not reach")

    def set(self, key: str, value: Any) -> None:
        raise AssertionError("2.x writes a file here")

    @property
    def label_config(self) -> str:
        return str(self.get("label_config") or "")

    @property
    def model_version(self) -> Any:
        return self.get("model_version")
