"""`boxstrap reproduce`, and recipes and options of `boxstrap train`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.cli import main
from backend.signals import StopRequest
from tests.backend.support.command_line import SMALL, error_of
from tests.wsol_core.datasets.miniature_trees import cub_tree
from wsol_core.localization.model_folder import read_card
from wsol_core.recipes.recipe import FOLDER

RUN = ["--batch-size", "4", "--side", "64", "--device", "cpu", "--option", "stage_epochs=2"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """BAS's on the small backbone."""
    path = tmp_path / "mine.toml"
    path.write_text((FOLDER / "bas-cub-resnet50.toml").read_text().replace('"resnet50"', '"tiny"'))
    return path


@pytest.mark.slow
def test_reproduce_shows_what_came_out_beside_what_was_published_and_each_deviation(
    tmp_path: Path, recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = cub_tree(tmp_path / "CUB_200_2011")
    assert main(["reproduce", str(recipe), str(source), "--out", str(tmp_path / "out"), *RUN]) == 0
    said = capsys.readouterr().out
    assert said.startswith("BAS, ResNet-50, CUB-200-2011\n")
    rows = [line.split() for line in said.splitlines()]
    assert ["percent", "published", "came", "out", "difference"] in rows
    [found] = [row for row in rows if row[:1] == ["gt_known_loc"]]
    assert found[1] == "95.41" and float(found[3]) == pytest.approx(float(found[2]) - 95.41, abs=0.01)
    assert "The data has 4 training images, not 5994." in said
    again = ["reproduce", str(recipe), str(source), "--out", str(tmp_path / "out"), *RUN, "--resume", "--json"]
    with monkeypatch.context() as interrupted:
        interrupted.setattr(StopRequest, "is_asked", lambda _: True)  # Ctrl-C while it measures
        assert "add --resume" in error_of(capsys, *again, code=130)
    assert main(again) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["metrics"]["gt_known_loc"] == pytest.approx(float(found[2]) / 100, abs=1e-4)


def test_an_unknown_recipe_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, "reproduce", "bas-cub", tmp_path, "--out", tmp_path / "out")
    assert "There is no recipe bas-cub; choose one of bas-cub-inception" in said


@pytest.mark.slow
def test_train_takes_a_recipe_and_options_in_its_place(pictures: Path, tmp_path: Path, recipe: Path) -> None:
    options = ["--recipe", str(recipe), "--option", "alpha=0.25", "--option", "stage_epochs=1", *SMALL]
    assert main(["train", str(pictures), "--out", str(tmp_path / "m"), *options]) == 0
    config = read_card(tmp_path / "m").config
    assert (config.method, config.holdout, config.options["beta"]) == ("bas", 0.0, 1.5)
    assert (config.options["alpha"], config.options["stage_epochs"]) == (0.25, [1])


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("colour=1", "Method boxstrap has no option 'colour'"),
        ("warmup=2", "Option 'warmup' of method boxstrap is '2'; it has to be from 0 to 1"),
        ("warmup", "'warmup' has no value; write it as NAME=VALUE"),
    ],
)
def test_an_option_without_meaning_is_a_usage_error(
    pictures: Path, tmp_path: Path, option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in error_of(capsys, "train", pictures, "--out", tmp_path / "m", "--option", option, code=2)
