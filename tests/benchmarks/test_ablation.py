"""The constants that can be ablated are those that the code has, and docs/methods.md says what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ablation_constants import CONSTANTS, Constant

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"


@pytest.mark.parametrize("constant", CONSTANTS, ids=lambda constant: constant.key)
def test_a_constant_has_another_value_while_it_is_replaced(constant: Constant) -> None:
    before = constant.value
    for value in constant.alternatives:
        assert value != before
        with constant.replaced(value):
            assert constant.value == value
    assert constant.value == before


@pytest.mark.parametrize("constant", CONSTANTS, ids=lambda constant: constant.key)
def test_the_page_of_methods_says_a_constants_value(constant: Constant) -> None:
    assert f"| `{constant.key}` | {constant.value} |" in PAGE.read_text(encoding="utf-8")
