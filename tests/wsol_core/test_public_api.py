"""What `import wsol_core` offers: the names, when they load torch, and what their docstrings say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import subprocess
import sys

import pytest

import wsol_core

FUNCTIONS = [name for name in wsol_core.__all__ if inspect.isfunction(getattr(wsol_core, name))]
FOR_USERS_TO_MAKE = (
    "Augmentation",
    "Backbone",
    "BoxPrompt",
    "CorrectedRegion",
    "PointPrompt",
    "Prediction",
    "Predictor",
    "Sample",
    "TrainConfig",
    "TrainingHooks",
    "WsolMethod",
)
TORCH_FREE = "TrainConfig, Sample, Region, Localization, CorrectedRegion, METHODS, register_method, WsolError, Progress"


def outside(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", wsol_core.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert name in dir(wsol_core)
    assert getattr(wsol_core, name) is not None


def test_no_name_is_loaded_that_is_not_public() -> None:
    assert sorted(wsol_core._MODULE_OF) == sorted(wsol_core.__all__)
    with pytest.raises(AttributeError, match="'wsol_core' has no attribute 'fitt'"):
        _ = wsol_core.fitt


@pytest.mark.slow
def test_a_star_import_gives_every_public_name() -> None:
    done = outside("import wsol_core; from wsol_core import *; print(sorted(set(wsol_core.__all__) - set(dir())))")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_names_that_need_no_torch_do_not_load_it() -> None:
    done = outside(f"import sys; from wsol_core import {TORCH_FREE}; print('torch' in sys.modules)")
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@pytest.mark.parametrize("name", [n for n in wsol_core.__all__ if n not in ("LossTerms", "METHODS")])
def test_every_public_class_and_function_has_a_docstring(name: str) -> None:
    value = getattr(wsol_core, name)
    doc = inspect.getdoc(value)
    assert doc
    assert not doc.startswith(f"{name}(")  # what a dataclass writes for itself


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("section", ["Args:", "Returns:", "Raises:", "Example:"])
def test_every_public_function_says_what_it_takes_returns_and_raises_with_an_example(name: str, section: str) -> None:
    assert f"\n{section}\n" in inspect.getdoc(getattr(wsol_core, name))


@pytest.mark.parametrize("name", FOR_USERS_TO_MAKE)
def test_every_class_that_users_make_has_an_example(name: str) -> None:
    assert "\nExample:\n" in inspect.getdoc(getattr(wsol_core, name))


@pytest.mark.parametrize("module", ["config", "options", "methods.base", "networks.backbones"])
def test_examples_that_need_no_files_give_what_their_docstrings_say(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"wsol_core.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
