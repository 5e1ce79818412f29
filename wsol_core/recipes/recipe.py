"""A recipe: the settings of a training and of its measuring, where they are from, and what was published for it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsol_core.config import TrainConfig
from wsol_core.errors import ConfigError

FOLDER = Path(__file__).parent
SUFFIX = ".toml"
PARTS = ("title", "source", "deviations", "data", "train", "evaluate", "expected")


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The data set: its layout as `convert` knows it, and how many classes and images it has."""

    kind: str
    classes: int
    train: int
    test: int


@dataclass(frozen=True, slots=True)
class Measuring:
    """How the model is measured: one of wsolevaluation, bas and ornet, at a threshold (None: the protocol's own)."""

    protocol: str
    threshold: float | None = None
    ten_crop: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """What `read_recipe` read.

    Attributes:
        name: Of the file, without its ending.
        title, source: What is reproduced, and whose it is.
        deviations: Sentences on what is not as published, whatever the data.
        expected: Metric -> published value in percent.
    """

    name: str
    title: str
    source: str
    deviations: tuple[str, ...]
    data: DataFacts
    train: TrainConfig
    evaluate: Measuring
    expected: Mapping[str, float]


def recipe_names() -> tuple[str, ...]:
    """Of all recipes that are built in."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def read_recipe(name: str) -> Recipe:
    """The recipe of that name, or in the TOML file of that path.

    Args:
        name: One of `recipe_names`, or a path that ends with .toml.

    Returns:
        The recipe, its settings checked.

    Raises:
        ConfigError: There is none, or it lacks something; the message says what.

    Example:
        >>> read_recipe("bas-cub-resnet50").expected["gt_known_loc"]
        95.41
    """
    path = Path(name) if name.endswith(SUFFIX) else FOLDER / f"{name}{SUFFIX}"
    if not path.is_file():
        known = ", ".join(recipe_names())
        raise ConfigError(f"There is no recipe {name}; choose one of {known}, or name a file that ends with {SUFFIX}.")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as TOML ({error}); correct it.") from error
    return _recipe(path, values)


def _recipe(path: Path, values: dict[str, Any]) -> Recipe:
    if wrong := sorted(set(PARTS) ^ set(values)):
        raise ConfigError(f"{path}: {wrong[0]!r} is missing or unknown; a recipe has {', '.join(PARTS)}.")
    try:
        return Recipe(
            name=path.stem,
            title=str(values["title"]),
            source=str(values["source"]),
            deviations=tuple(map(str, values["deviations"])),
            data=DataFacts(**values["data"]),
            train=TrainConfig.from_dict({"options": {}, **values["train"]}),
            evaluate=Measuring(**values["evaluate"]),
            expected={name: float(value) for name, value in values["expected"].items()},
        )
    except (TypeError, ValueError, AttributeError, ConfigError) as error:
        raise ConfigError(f"{path} cannot be used: {error}") from error
