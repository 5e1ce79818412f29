"""Boxstrap's learner: boxes and masks from image-level class labels.

    from pathlib import Path
    from wsol_core import Predictor, TrainConfig, fit, read_folder

    data = read_folder(Path("pictures"))
    fit(TrainConfig(minutes=10), data.samples, data.classes, Path("model"))
    for found in Predictor.open(Path("model")).localize(data.samples):
        ...

The names in `__all__` are the public interface. Importing the package does not load torch; using a name that needs it
does (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsol_core.config import TrainConfig
    from wsol_core.data.batch import Batch
    from wsol_core.data.folder import DataFolder, read_folder
    from wsol_core.data.transforms import Augmentation
    from wsol_core.datasets.convert import convert
    from wsol_core.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        MissingCheckpointError,
        StorageError,
        TrainingCancelled,
        TrainingExistsError,
        UnfinishedTrainingError,
        WeightsError,
        WsolError,
    )
    from wsol_core.evaluation.evaluate import EvaluationReport, evaluate
    from wsol_core.localization.interactive import BoxPrompt, PointPrompt, localize_prompted
    from wsol_core.localization.model_card import ModelCard
    from wsol_core.localization.predictor import Predictor
    from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
    from wsol_core.networks.backbones import Backbone
    from wsol_core.options import MethodOptions
    from wsol_core.recipes.recipe import read_recipe
    from wsol_core.recipes.reproduce import reproduce
    from wsol_core.records import CorrectedRegion, Localization, Region, Sample, Unreadable
    from wsol_core.registry import METHODS, register_method
    from wsol_core.synthetic.dataset import draw_folder
    from wsol_core.training.fit import fit
    from wsol_core.training.progress import Progress, TrainingHooks

__version__ = "0.1.0"

__all__ = [
    "METHODS",
    "Augmentation",
    "Backbone",
    "Batch",
    "BoxPrompt",
    "CheckpointError",
    "ConfigError",
    "CorrectedRegion",
    "DataError",
    "DataFolder",
    "EvaluationReport",
    "Localization",
    "LossTerms",
    "MethodOptions",
    "MissingCheckpointError",
    "ModelCard",
    "PointPrompt",
    "Prediction",
    "Predictor",
    "Progress",
    "Region",
    "Sample",
    "StorageError",
    "TrainConfig",
    "TrainingCancelled",
    "TrainingExistsError",
    "TrainingHooks",
    "UnfinishedTrainingError",
    "Unreadable",
    "WeightsError",
    "WsolError",
    "WsolMethod",
    "convert",
    "draw_folder",
    "evaluate",
    "fit",
    "localize_prompted",
    "read_folder",
    "read_recipe",
    "register_method",
    "reproduce",
]

_NAMES_OF = {
    "config": ("TrainConfig",),
    "data.batch": ("Batch",),
    "data.folder": ("DataFolder", "read_folder"),
    "data.transforms": ("Augmentation",),
    "datasets.convert": ("convert",),
    "errors": (
        "CheckpointError",
        "ConfigError",
        "DataError",
        "MissingCheckpointError",
        "StorageError",
        "TrainingCancelled",
        "TrainingExistsError",
        "UnfinishedTrainingError",
        "WeightsError",
        "WsolError",
    ),
    "evaluation.evaluate": ("EvaluationReport", "evaluate"),
    "localization.interactive": ("BoxPrompt", "PointPrompt", "localize_prompted"),
    "localization.model_card": ("ModelCard",),
    "localization.predictor": ("Predictor",),
    "methods.base": ("LossTerms", "Prediction", "WsolMethod"),
    "networks.backbones": ("Backbone",),
    "options": ("MethodOptions",),
    "recipes.recipe": ("read_recipe",),
    "recipes.reproduce": ("reproduce",),
    "records": ("CorrectedRegion", "Localization", "Region", "Sample", "Unreadable"),
    "registry": ("METHODS", "register_method"),
    "synthetic.dataset": ("draw_folder",),
    "training.fit": ("fit",),
    "training.progress": ("Progress", "TrainingHooks"),
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # the next use finds it without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
