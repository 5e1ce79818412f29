"""`reproduce`: train by a recipe, measure by its protocol, and say what came out beside what was published, and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wsol_core.config import TrainConfig
from wsol_core.data.folder import ANNOTATIONS, DataFolder, read_folder
from wsol_core.datasets.convert import convert
from wsol_core.errors import DataError
from wsol_core.evaluation.evaluate import evaluate
from wsol_core.evaluation.released_protocols import PROTOCOLS, evaluate_released
from wsol_core.files import write_whole
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.recipes.recipe import Recipe
from wsol_core.records import Sample
from wsol_core.registry import backbone_info
from wsol_core.training.fit import fit
from wsol_core.training.progress import TrainingHooks

DATA, MODEL, RESULT = "data", "model", "reproduction.json"  # in the folder that is written


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came out.

    Attributes:
        metrics: All that the protocol measures, name -> value in [0, 1]; "pictures" is a number.
        expected: What was published, name -> percent.
        deviations: Sentences: those of the recipe, then those of this run.
        seconds: Of the training.
    """

    recipe: str
    title: str
    source: str
    metrics: Mapping[str, float | None]
    expected: Mapping[str, float]
    deviations: tuple[str, ...]
    threshold: float
    threshold_rule: str
    seconds: float

    def rows(self) -> list[tuple[str, float, float | None]]:
        """(metric, published, came out) in percent, for every published metric."""
        found = {name: self.metrics.get(name) for name in self.expected}
        return [
            (name, published, None if (value := found[name]) is None else 100 * value)
            for name, published in self.expected.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**plain, "metrics": dict(self.metrics), "expected": dict(self.expected)}


def reproduce(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    changes: Mapping[str, Any] | None = None,
    weights_dir: Path | None = None,
    hooks: TrainingHooks | None = None,
    resume: bool = False,
    on_measured: Callable[[int, int], None] | None = None,
) -> Reproduction:
    """Train and measure by a recipe; the result lies in `out`/reproduction.json too, and the model in `out`/model.

    Args:
        recipe: What to do.
        data: The data set as it unpacks, or a folder that `convert` wrote.
        out: Created where it does not exist.
        changes: Settings of the training in place of the recipe's, such as {"minutes": 1}; `options` are merged. Each
            is named among the deviations.
        weights_dir: A folder to look for pretrained weights in before they are downloaded.
        hooks: As of `fit`.
        resume: Go on with the training that was interrupted in `out`.
        on_measured: Called with the number of images measured so far, and of all.

    Returns:
        What was published, what came out, and what was not as published.

    Raises:
        DataError: The data has no split test, or is not in its data set's layout.
        WsolError: As `fit` and `evaluate` raise.

    Example:
        >>> reproduce(read_recipe("bas-cub-resnet50"), Path("CUB_200_2011"), Path("bas")).rows()[0]
        ('top1_loc', 76.75, 76.4)
    """
    folder = _prepared(recipe, data, out)
    train, test = read_folder(folder, "train"), read_folder(folder, "test")
    if not any(sample.truth for sample in test.samples):
        raise DataError(f"The split test of {folder} has no boxes or masks; a reproduction is measured on them.")
    config = _changed(recipe.train, changes or {})
    card = fit(config, train.samples, train.classes, out / MODEL, weights_dir=weights_dir, hooks=hooks, resume=resume)
    metrics, threshold, rule = _measured(recipe, out / MODEL, config, test, on_measured)
    done = Reproduction(
        recipe=recipe.name,
        title=recipe.title,
        source=recipe.source,
        metrics=metrics,
        expected=recipe.expected,
        deviations=(*recipe.deviations, *_deviations_of(recipe, card, train, test)),
        threshold=threshold,
        threshold_rule=rule,
        seconds=card.metrics["train_seconds"],
    )
    write_whole(out / RESULT, (json.dumps(done.to_dict(), indent=2, ensure_ascii=False) + "\n").encode())
    return done


def _prepared(recipe: Recipe, data: Path, out: Path) -> Path:
    """A folder with annotations: `data` itself, or what has been made of it."""
    if (data / ANNOTATIONS).is_file():
        return data
    if not (out / DATA / ANNOTATIONS).is_file():
        convert(recipe.data.kind, data, out / DATA)
    return out / DATA


def _changed(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    options = {**config.options, **changes.get("options", {})}
    return replace(config, **{**changes, "options": options})


def _measured(
    recipe: Recipe, model: Path, config: TrainConfig, test: DataFolder, on_measured: Callable[[int, int], None] | None
) -> tuple[Mapping[str, float | None], float, str]:
    predictor = Predictor.open(model, config.device, config.precision)
    how, count = recipe.evaluate, 0

    def on_image(*_: object) -> None:
        nonlocal count
        count += 1
        if on_measured is not None:
            on_measured(count, len(test.samples))

    known: tuple[Sample, ...] = tuple(
        replace(sample, labels=tuple(name for name in sample.labels if name in predictor.card.classes))
        for sample in test.samples
    )
    if how.protocol in PROTOCOLS:
        released = evaluate_released(predictor, known, how.protocol, how.threshold, how.ten_crop, on_image)
        return released.metrics, released.threshold, released.threshold_rule
    report = evaluate(predictor, known, on_image, how.threshold, how.ten_crop)
    return report.metrics, report.threshold, report.threshold_rule


def _deviations_of(recipe: Recipe, card: ModelCard, train: DataFolder, test: DataFolder) -> list[str]:
    """What in this run is not as the recipe says."""
    facts, config = recipe.data, card.config
    found = (
        ("classes", facts.classes, len(card.classes)),
        ("training images", facts.train, len(train.samples)),
        ("test images", facts.test, len(test.samples)),
    )
    said = [f"The data has {count} {what}, not {wanted}." for what, wanted, count in found if wanted != count]
    for name, wanted in recipe.train.to_dict().items():
        if name not in ("options", "device", "workers") and getattr(config, name) != wanted:
            said.append(f"The setting {name} was {getattr(config, name)!r}, not {wanted!r}.")
    for name in sorted({*recipe.train.options, *config.options}):
        ours, wanted = (options.get(name) for options in (config.options, recipe.train.options))
        if ours != wanted:
            said.append(f"The option {name} was {ours!r}, not {wanted!r}.")
    if backbone_info(config.backbone).has_weights and not card.metrics.get("pretrained"):
        said.append(f"The features of {config.backbone} began untrained: its ImageNet weights were not found.")
    return said + [f"{line.rstrip('.')}." for line in (*train.skipped, *test.skipped)][:10]
