"""Options of methods: what texts and plain values become, what is refused, and that JSON gives the same back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from wsol_core.errors import ConfigError
from wsol_core.methods.build import method_options
from wsol_core.options import MethodOptions, bounded, read_options
from wsol_core.registry import BUILT_IN


@dataclass(frozen=True, kw_only=True)
class Mine(MethodOptions):
    share: float | None = bounded(None, least=0, most=1)
    count: int = bounded(3, least=1)
    kind: Literal["this", "that"] = "this"
    shown: bool = True


def test_texts_and_plain_values_become_the_same_options() -> None:
    texts = {"share": "0.5", "count": "7", "kind": "that", "shown": "false", "stage_epochs": "70,30"}
    plain = {"share": 0.5, "count": 7, "kind": "that", "shown": False, "stage_epochs": [70, 30]}
    expected = Mine(share=0.5, count=7, kind="that", shown=False, stage_epochs=(70, 30))
    assert read_options(Mine, texts, "mine") == read_options(Mine, plain, "mine") == expected


def test_only_what_differs_from_the_defaults_is_kept_and_json_gives_it_back() -> None:
    options = Mine(share=0.25, count=3, stage_epochs=(1, 2))
    kept = json.loads(json.dumps(options.changed()))
    assert kept == {"share": 0.25, "stage_epochs": [1, 2]}
    assert read_options(Mine, kept, "mine") == options


def test_none_takes_an_option_back_to_what_the_method_has() -> None:
    assert read_options(Mine, {"share": "none"}, "mine").share is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": 1}, "Method mine has no option 'colour'; it has clip_norm, count"),
        ({"share": 2}, "Option 'share' of method mine is 2; it has to be from 0 to 1"),
        ({"count": 0}, "'count' of method mine is 0; it has to be 1 or more"),
        ({"count": 1.5}, "is 1.5; it has to be a whole number"),
        ({"count": True}, "is True; it has to be a whole number"),
        ({"share": "much"}, "is 'much'; it has to be a number"),
        ({"share": float("nan")}, "it has to be a number"),
        ({"kind": "other"}, "is 'other'; it has to be one of this, that"),
        ({"shown": 2}, "is 2; it has to be true or false"),
        ({"stage_epochs": 3}, "is 3; it has to be a list such as 70,30"),
        ({"stage_epochs": "3,x"}, "is '3,x'; it has to be a whole number"),
        ({"stage_epochs": [1, -1]}, "it has to be 0 or more"),
    ],
)
def test_what_has_no_meaning_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_options(Mine, values, "mine")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_method_has_options_with_defaults(name: str) -> None:
    assert method_options(name, {}).changed() == {}
    assert method_options(name, {"warmup": 0, "clip_norm": 0}).changed() == {"warmup": 0.0, "clip_norm": 0.0}


@pytest.mark.parametrize("epochs", [[1, 2], [1, 2, 3, 4], [3, 3, 0]])
def test_epochs_of_stages_are_one_number_for_each_and_some_for_the_last(epochs: list[int]) -> None:
    with pytest.raises(ConfigError, match="one number for each of evaluator, classify, localize, the last of them 1"):
        method_options("ornet", {"stage_epochs": epochs})


def test_published_methods_begin_with_the_weights_that_were_published_first() -> None:
    weights = {name: method_options(name, {}).weights for name in BUILT_IN}
    assert weights.pop("boxstrap") == "DEFAULT"
    assert set(weights.values()) == {"IMAGENET1K_V1"}
