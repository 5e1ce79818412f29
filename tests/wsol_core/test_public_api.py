"""What `import wsol_core` offers: the names, when they load torch, and what their docstrings say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import subprocess
import sys

import pytest

import wsol_core

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


@pytest.mark.parametrize("module", ["config", "methods.base", "networks.backbones"])
def test_examples_that_need_no_files_give_what_their_docstrings_say(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"wsol_core.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
