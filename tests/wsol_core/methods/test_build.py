"""Building a method by name."""

from __future__ import annotations

import pytest

from wsol_core.errors import ConfigError
from wsol_core.methods.build import build_method


def test_an_unknown_method_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'adl'.*boxstrap"):
        build_method("adl", "tiny", 2, False)
