"""The pictures of tasks: usually one each, several where the config has several Image tags, pages or a Repeater."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.label_config import LabelConfig


@dataclass(frozen=True, slots=True)
class TaskView:
    """One picture of a task. `config` is what the labeling config means for it; `index` counts a task's pictures."""

    task: Mapping[str, Any]
    config: LabelConfig
    index: int = 0

    @property
    def name(self) -> str:
        """A name for the picture, different from those of all others of a project.

        Example:
            >>> TaskView({"id": 7}, LabelConfig("image", "image", ()), 1).name
            '7.1'
        """
        return f"{self.task.get('id')}.{self.index}" if self.index else str(self.task.get("id"))


def views_of(task: Mapping[str, Any], config: LabelConfig) -> list[TaskView]:
    """Return a task's pictures, at least one."""
    return [TaskView(task, view, index) for index, view in enumerate(config.views(task.get("data")))]


def all_views(tasks: Sequence[Mapping[str, Any]], config: LabelConfig) -> list[TaskView]:
    """Return the pictures of several tasks, task by task."""
    return [view for task in tasks for view in views_of(task, config)]
