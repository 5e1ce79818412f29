"""Every recipe trains and measures on a miniature of its data set, for two steps a stage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.wsol_core.datasets.miniature_trees import cub_tree, ilsvrc_tree, wsolevaluation_tree
from wsol_core.errors import DataError
from wsol_core.localization.model_folder import read_card
from wsol_core.recipes.recipe import read_recipe, recipe_names
from wsol_core.recipes.reproduce import reproduce

SMALL: dict[str, Any] = {"batch_size": 4, "side_px": 64, "device": "cpu", "workers": 0, "pretrained": False}
TREES: dict[str, Callable[[Path], Path]] = {
    "cub": cub_tree,
    "ilsvrc": ilsvrc_tree,
    "wsolevaluation": lambda root: wsolevaluation_tree(root, masks=True),
}


def _networks(name: str) -> tuple[object, ...]:
    train = read_recipe(name).train
    return train.method, train.backbone, train.options.get("evaluator")


NETWORKS = [_networks(name) for name in recipe_names()]


def small(name: str) -> dict[str, Any]:
    """Two epochs of one step for each stage that the recipe has; the tiny network where one before has the same."""
    options: dict[str, Any] = dict(read_recipe(name).train.options)
    changed = {"stage_epochs": [min(2, count) for count in options["stage_epochs"]]}
    if NETWORKS.index(_networks(name)) == recipe_names().index(name):
        return {**SMALL, "batch_size": 8, "options": changed}
    light = {"evaluator": "light"} if "evaluator" in options else {}
    return {**SMALL, "batch_size": 8, "backbone": "tiny", "options": {**changed, **light}}


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_runs_and_names_what_is_not_as_published(tmp_path: Path, name: str) -> None:
    recipe = read_recipe(name)
    source, changes = TREES[recipe.data.kind](tmp_path / "source"), small(name)
    seen: list[tuple[int, int]] = []
    done = reproduce(recipe, source, tmp_path / "out", changes=changes, on_measured=lambda *count: seen.append(count))
    assert [metric for metric, _, _ in done.rows()] == list(recipe.expected)
    assert all(came is not None and 0 <= came <= 100 for _, _, came in done.rows())
    assert seen[-1] == (4, 4)
    network = recipe.train.backbone
    for deviation in (
        *recipe.deviations,
        f"The data has 2 classes, not {recipe.data.classes}.",
        "The setting side_px was 64, not 224.",
        f"The setting backbone was 'tiny', not '{network}'."
        if "backbone" in changes
        else f"The features of {network} began untrained: its ImageNet weights were not found.",
    ):
        assert deviation in done.deviations
    stages = [count for count in recipe.train.options["stage_epochs"] if count]
    card = read_card(tmp_path / "out" / "model")
    assert card.metrics["train_steps"] == 2 * len(stages)
    assert card.config.options == {**recipe.train.options, **changes["options"]}
    written = json.loads((tmp_path / "out" / "reproduction.json").read_text())
    assert written["expected"] == recipe.expected and written["metrics"] == done.metrics
    shutil.rmtree(tmp_path / "out" / "model")  # up to 700 MB


def tiny(name: str = "bas-cub-resnet50") -> dict[str, Any]:
    return {**SMALL, "backbone": "tiny", "options": {"stage_epochs": [2]}}


@pytest.mark.slow
def test_a_folder_that_was_converted_before_is_taken_as_it_is(tmp_path: Path) -> None:
    recipe = read_recipe("bas-cub-resnet50")
    first = reproduce(recipe, cub_tree(tmp_path / "source"), tmp_path / "a", changes=tiny())
    again = reproduce(recipe, tmp_path / "a" / "data", tmp_path / "b", changes=tiny())
    assert not (tmp_path / "b" / "data").exists()
    assert again.metrics == first.metrics
    assert "The setting backbone was 'tiny', not 'resnet50'." in first.deviations
    assert "The option stage_epochs was [2], not [120]." in first.deviations


def test_data_without_true_boxes_cannot_be_measured(tmp_path: Path) -> None:
    source = cub_tree(tmp_path / "source")
    boxes = source / "bounding_boxes.txt"
    boxes.write_text("".join(f"{n} 0 0 0 0\n" for n in range(1, 9)))
    recipe = replace(read_recipe("bas-cub-resnet50"))
    with pytest.raises(DataError, match="no boxes or masks"):
        reproduce(recipe, source, tmp_path / "out", changes=tiny())
