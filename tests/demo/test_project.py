"""The demo's project: what its tasks say is what Boxstrap reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.task_labels import given_labels, image_labels, is_finished
from demo.project import _task, label_config
from wsol_core.records import Sample


@pytest.mark.parametrize("labels", [("fish",), ("starfish", "crab", "fish")])
def test_all_classes_of_a_picture_are_read_from_its_task(labels: tuple[str, ...]) -> None:
    config = LabelConfig.parse(label_config(("crab", "fish", "starfish")))
    task = _task(Sample("images/a.jpg", Path("images/a.jpg"), labels), "pictures")
    assert given_labels(task, config) == labels
    assert image_labels(task, config, config.classes) == labels
    assert config.choices[0].multiple
    assert not is_finished(task, config)
