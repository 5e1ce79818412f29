"""Recipes as files: all of them can be read and built, and a broken one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsol_core.errors import ConfigError
from wsol_core.methods.bas import BasOptions
from wsol_core.methods.build import method_options
from wsol_core.methods.ornet import OrNetOptions
from wsol_core.recipes.recipe import FOLDER, read_recipe, recipe_names

# (alpha, beta, constant, classes fused, threshold) of the extension's table.
BAS = {
    "bas-cub-vgg16": (0, 0.9, 0, 80, 0.10),
    "bas-cub-resnet50": (0.5, 1.5, 1, 200, 0.10),
    "bas-cub-mobilenet": (0.5, 1.9, 1, 80, 0.10),
    "bas-cub-inception": (0.5, 1.0, 1, 200, 0.10),
    "bas-ilsvrc-vgg16": (0.05, 1.0, 0, 1, 0.45),
    "bas-ilsvrc-resnet50": (1.0, 2.0, 1, 1, 0.25),
    "bas-ilsvrc-mobilenet": (0.5, 1.5, 1, 1, 0.50),
    "bas-ilsvrc-inception": (1.0, 2.5, 1, 1, 0.25),
}


def test_every_published_pair_has_a_recipe() -> None:
    assert {*BAS, "bas-openimages-resnet50", "ornet-cub", "ornet-ilsvrc", "cam-openimages-vgg16"} == set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_leaves_out_what_is_ours(name: str) -> None:
    recipe = read_recipe(name)
    options = method_options(recipe.train.method, recipe.train.options)
    assert (options.warmup, options.clip_norm, options.jitter) == (0, 0, 0)
    assert (recipe.train.holdout, recipe.train.side_px, recipe.train.precision) == (0, 224, "float32")
    assert options.weights == "IMAGENET1K_V1" and options.stage_epochs
    assert recipe.expected and recipe.deviations and "arXiv" in recipe.source


@pytest.mark.parametrize("name", BAS)
def test_bas_has_the_published_numbers_of_its_backbone_and_data(name: str) -> None:
    recipe = read_recipe(name)
    options = method_options("bas", recipe.train.options)
    assert isinstance(options, BasOptions)
    found = (options.alpha, options.beta, options.constant, options.fused, recipe.evaluate.threshold)
    assert found == BAS[name]
    assert options.batchnorm == "batch" and options.head_width == 1024 and recipe.evaluate.ten_crop
    schedule = (recipe.train.batch_size, options.stage_epochs, options.decay_epochs)
    if "cub" in name:
        assert schedule == (32, (120,), 80)
    else:
        assert schedule == (256 if "vgg" in name else 128, (9,), 3)


@pytest.mark.parametrize(("name", "epochs"), [("ornet-cub", (200, 70, 30)), ("ornet-ilsvrc", (0, 70, 30))])
def test_ornet_has_the_released_evaluator_rates_and_epochs(name: str, epochs: tuple[int, ...]) -> None:
    recipe = read_recipe(name)
    options = method_options("ornet", recipe.train.options)
    assert isinstance(options, OrNetOptions)
    assert (options.evaluator, options.stem, options.erasing, options.erasing_share) == (
        "vgg16",
        "pool",
        "attentive",
        0.5,
    )
    assert (options.lr, options.new_lr, options.stage_epochs, recipe.train.batch_size) == (0.001, 0.001, epochs, 16)
    assert options.fresh_top == (name == "ornet-ilsvrc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("alpha = 0.5", "alpha = "), "cannot be read as TOML"),
        (("[expected]", "[expectation]"), "'expectation' is missing or unknown; a recipe has title"),
        (("batch_size = 32", 'batch_sizes = "x"'), "cannot be used: Unknown training setting 'batch_sizes'"),
        (("batch_size = 32", "batch_size = 0"), "cannot be used: batch_size is 0"),
        (("protocol =", "protocols ="), "cannot be used: .*protocols"),
        (("top1_loc = 76.75", 'top1_loc = "high"'), "cannot be used: could not convert"),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((FOLDER / "bas-cub-resnet50.toml").read_text().replace(*change, 1))
    with pytest.raises(ConfigError, match=rf"mine\.toml.*{message}"):
        read_recipe(str(path))


def test_a_recipe_of_ones_own_has_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((FOLDER / "bas-cub-resnet50.toml").read_text())
    assert read_recipe(str(path)).name == "mine"


@pytest.mark.parametrize("name", ["bas-cub", "nothing.toml"])
def test_an_unknown_recipe_is_named_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=f"There is no recipe {name}; choose one of bas-cub-inception, "):
        read_recipe(name)
