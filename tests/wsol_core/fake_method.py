"""A method that learns nothing; tests give it the predictions that they need."""

from __future__ import annotations

from typing import Any

from wsol_core.data.batch import Batch
from wsol_core.methods.base import LossTerms, WsolMethod


class FakeMethod(WsolMethod):
    """Subclasses say what it predicts."""

    stages = ("classify",)

    def begin_stage(self, stage: str) -> None: ...

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        return []

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        return {}
