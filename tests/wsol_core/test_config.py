"""TrainConfig: what has no meaning is refused, and JSON gives the same settings back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsol_core.config import TrainConfig
from wsol_core.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "adl"}, "method 'adl' is unknown; choose one of boxstrap, ornet, bas, wsl_bg, cam"),
        ({"backbone": "resnet19"}, "backbone 'resnet19' is unknown; choose one of mobilenet_v2"),
        ({"epochs": 1, "minutes": 1}, "epochs or minutes, not both"),
        ({"epochs": 1, "brief": True}, "A brief training has a length of its own"),
        ({"epochs": 0}, "epochs is 0; it has to be 1 or more"),
        ({"minutes": 0}, "minutes is 0; it has to be more than 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"side_px": 100}, "side_px is 100; it has to be a multiple of 32 from 64 to 2048"),
        ({"side_px": 3_200_000}, "side_px is 3200000; it has to be a multiple of 32 from 64 to 2048"),
        ({"side_px": 32}, "side_px is 32"),
        ({"holdout": 1}, "holdout is 1; it has to be at least 0 and below 1"),
        ({"patience": -1}, "patience is -1"),
        ({"options": ["alpha"]}, r"options is \['alpha'\]; it has to be a table of names and values"),
        ({"precision": "float16"}, "precision is 'float16'; it has to be one of auto, float32, bfloat16"),
    ],
)
def test_a_value_without_meaning_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**values)


def test_json_gives_the_same_settings_back() -> None:
    config = TrainConfig(method="bas", backbone="tiny", minutes=2.5, seed=3, pretrained=False)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_json_gives_options_back_and_settings_without_any_are_those_of_earlier_builds() -> None:
    config = TrainConfig(method="bas", options={"alpha": 0.2, "stage_epochs": [3]})
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    before = {"method": "bas", "backbone": "resnet18"}
    assert TrainConfig.from_dict(before).options == {"max_pool": False, "head_width": 512}
    assert TrainConfig.from_dict({**before, "backbone": "tiny"}) == TrainConfig(**{**before, "backbone": "tiny"})


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="'epoch'"):
        TrainConfig.from_dict({"epoch": 3})


@pytest.mark.parametrize(
    ("backbone", "pretrained", "wanted"), [("resnet18", True, True), ("resnet18", False, False), ("tiny", True, False)]
)
def test_weights_are_wanted_where_they_are_asked_for_and_exist(backbone: str, pretrained: bool, wanted: bool) -> None:
    assert TrainConfig(backbone=backbone, pretrained=pretrained).wants_weights is wanted
