"""The constants that can be ablated are those that the code has, and docs/methods.md says what they are.

Trainings with another value go on where the default's was cut.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.ablated_constant import Constant, From
from benchmarks.ablation import CUTS, Stop
from benchmarks.ablation_constants import CONSTANTS
from benchmarks.ablation_objects import OBJECT_CONSTANTS
from wsol_core.methods.boxstrap import Boxstrap
from wsol_core.training.progress import Progress

TABLED = (
    *("composites", "pseudo_objects", "separation", "instance_losses", "instance_head", "instances", "object_exam"),
    *("object_cuts", "whole_parts", "view_exam", "closer_look", "closer_exam"),
    "outline_contrast",
)
EXCEPT = {
    "object_exam.BATCH_SIZE",
    "view_exam.BATCH",
    "view_exam.PLAIN",
    "view_exam.WAYS",
}  # how the exam is done, not what it finds
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


def test_every_number_of_single_objects_can_be_varied() -> None:
    source = Path(__file__).resolve().parents[2] / "wsol_core"
    found = {
        f"{path.stem}.{name}"
        for path in source.rglob("*.py")
        if path.stem in TABLED and "evaluation" not in path.parts
        for line in re.findall(r"^([A-Z][A-Z_, ]*) = ", path.read_text(encoding="utf-8"), re.MULTILINE)
        for name in line.split(", ")
    }
    assert found - {constant.key for constant in OBJECT_CONSTANTS} == EXCEPT


def test_the_default_is_cut_before_each_stage_but_the_first_and_before_its_last_step() -> None:
    ends = [(before, 0) for before, _ in pairwise(Boxstrap.stages)]
    assert list(CUTS.values()) == [*ends, (Boxstrap.stages[-1], 1)]
    assert {constant.again for constant in CONSTANTS} == {From.START, From.PROMPT, *CUTS}


@pytest.mark.parametrize(("cut", "reached_at"), [(From.LOCALIZE, 2), (From.SEPARATE, 5), (From.END, 7)])
def test_a_training_stops_at_its_cut_and_nowhere_else(cut: From, reached_at: int) -> None:
    steps = [(index, step, total) for index, total in enumerate((2, 3, 3)) for step in range(1, total + 1)]
    stop, without = Stop(cut), Stop(None)
    for done, (index, step, total) in enumerate(steps, start=1):
        progress = Progress(Boxstrap.stages[index], index, 3, 1, 1, step, total, {}, 1.0, 0.0)
        stop.watch(progress)
        without.watch(progress)
        assert (stop.reached, without.reached) == (done == reached_at, False)
