"""The model's card."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from wsol_core.config import TrainConfig
from wsol_core.errors import CheckpointError, ConfigError
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.worth import Calibration, Worth
from wsol_core.records import Region


def make_card(**changes: Any) -> ModelCard:
    parts = {
        "config": TrainConfig(method="bas", backbone="tiny", epochs=3),
        "classes": ("cat", "dög"),
        "multi_label": False,
        "threshold": 0.4,
        "threshold_rule": "chosen by hand",
        "class_thresholds": {"cat": 0.3},
        "metrics": {"steps": 12.0},
    }
    return ModelCard(**{**parts, **changes})


def test_a_card_survives_json() -> None:
    card = make_card()
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


def test_a_class_without_its_own_threshold_has_the_models() -> None:
    assert (make_card().threshold_of("cat"), make_card().threshold_of("dög")) == (0.3, 0.4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"threshold": float("nan")}, "between 0 and 1"),
        ({"class_thresholds": {"cow": 0.5}}, "'cow'"),
        ({"classes": ()}, "class names"),
        ({"classes": ("cat", "cat")}, "class names"),
    ],
)
def test_a_card_without_meaning_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_card(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "format 2"),
        ({"surprise": 1}, "'surprise'"),
        ({"config": {"method": "magic"}}, "'magic'"),
        ({"threshold": "high"}, "threshold is 'high', no number"),
        ({"score_scale": None}, "score_scale is None, no number"),
        ({"keep_shift": 10**400}, "keep_shift is 1000"),
        ({"classes": [1, 2]}, "a class's name is no text"),
        ({"config": {"side_px": 3_200_000}}, "side_px"),
    ],
)
def test_a_foreign_card_is_a_checkpoint_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        ModelCard.from_dict({**make_card().to_dict(), **changes})


def test_a_card_with_a_missing_entry_or_that_is_no_object_is_a_checkpoint_error() -> None:
    values = make_card().to_dict()
    del values["threshold"]
    with pytest.raises(CheckpointError, match="'threshold'"):
        ModelCard.from_dict(values)
    with pytest.raises(CheckpointError, match="JSON object"):
        ModelCard.from_dict([])  # type: ignore[arg-type]


def test_a_card_of_before_faults_were_looked_for_has_none() -> None:
    values = make_card(faults=("It is too short.",)).to_dict()
    assert ModelCard.from_dict(values).faults == ("It is too short.",)
    del values["faults"]
    assert ModelCard.from_dict(values).faults == ()


def test_a_card_of_before_contrasts_counted_judges_by_scores_alone() -> None:
    clear = Region("cat", (0, 0, 2, 2), 0.5, (), np.ones((2, 2), np.bool_), contrast=3.0)
    values = make_card().with_worth(Worth(Calibration(), Calibration(shift=1.0))).to_dict()
    judged = ModelCard.from_dict(values).judged(clear)
    assert judged.keep is not None and 0.5 < judged.score < judged.keep
    del values["uses_contrast"]
    assert ModelCard.from_dict(values).judged(clear).score == 0.5
