"""A constant of the code for which benchmarks.ablation tries other values.

A name is `CONSTANT` of the module, `Class.attribute`, or `function(parameter)` for a parameter's default. What the
default value is, only the code says.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from typing import Any, Literal


class From(Enum):
    """What has to be done again with another value; what comes before is shared with the default."""

    START = "the whole training"
    LOCALIZE = "stage localize and what follows"
    SEPARATE = "stage separate and what follows"
    END = "the choice of the threshold, the exam on objects, and prediction"
    PROMPT = "prompted prediction"


@dataclass(frozen=True)
class Constant:
    """`meaning` completes the sentence "it is ..."; without what it `needs` it changes nothing."""

    module: str
    name: str
    alternatives: tuple[Any, ...]
    meaning: str
    again: From = From.START
    needs: Literal["", "boxes", "backgrounds", "fresh", "pretrained"] = ""

    @property
    def key(self) -> str:
        """Its name with the file's stem, as `--constants` takes it."""
        return f"{self.module.rpartition('.')[2]}.{self.name}"

    @property
    def value(self) -> Any:
        """As the code has it now."""
        owner, name = _place(self)
        return owner[name] if isinstance(owner, dict) else getattr(owner, name)

    @contextmanager
    def replaced(self, value: Any) -> Iterator[None]:
        """The code with another value, while the context lasts."""
        before = self.value
        self._set(value)
        try:
            yield
        finally:
            self._set(before)

    def _set(self, value: Any) -> None:
        if "(" not in self.name:
            owner, name = _place(self)
            setattr(owner, name, value)
            return
        function, parameter = _function(self)
        if parameter in (function.__kwdefaults__ or {}):
            function.__kwdefaults__[parameter] = value
            return
        names = _defaulted(function)
        function.__defaults__ = tuple(
            value if name == parameter else old for name, old in zip(names, function.__defaults__, strict=True)
        )


def _place(constant: Constant) -> tuple[Any, str]:
    """The module, class or dict of defaults that holds the value, and its name there."""
    if "(" in constant.name:
        function, parameter = _function(constant)
        defaults = dict(zip(_defaulted(function), function.__defaults__ or (), strict=True))
        return defaults | (function.__kwdefaults__ or {}), parameter
    *path, name = constant.name.split(".")
    return reduce(getattr, path, importlib.import_module(f"wsol_core.{constant.module}")), name


def _function(constant: Constant) -> tuple[Any, str]:
    name, _, parameter = constant.name.rstrip(")").partition("(")
    found = getattr(importlib.import_module(f"wsol_core.{constant.module}"), name)
    return (found.__init__ if inspect.isclass(found) else found), parameter


def _defaulted(function: Any) -> list[str]:
    """Positional parameters that have a default, in order."""
    count = len(function.__defaults__ or ())
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return list(names[len(names) - count :])
