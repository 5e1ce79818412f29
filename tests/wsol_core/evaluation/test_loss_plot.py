"""Loss curves: one a term, smoothed, with a line where each stage begins."""

from __future__ import annotations

import re

from wsol_core.evaluation.loss_plot import loss_curves

HISTORY = [
    {"stage": "classify", "losses": {"<ce>": 2.0}},
    {"stage": "classify", "losses": {"<ce>": 1.0}},
    {"stage": "classify", "epoch": 1},
    {"stage": "localize", "losses": {"<ce>": 1.0, "area": 0.5}},
]


def test_each_loss_term_has_a_curve_and_a_name_in_the_legend() -> None:
    plot = loss_curves(HISTORY)
    assert re.findall(r'<path class="line (\w)"', plot) == ["e", "a"]
    assert "&lt;ce&gt;" in plot and "area" in plot and "<ce>" not in plot


def test_each_stage_begins_at_its_first_logged_step() -> None:
    plot = loss_curves(HISTORY)
    assert re.findall(r'class="border" d="M([\d.]+) ', plot) == ["56.0", "552.0"]
    assert re.findall(r">(classify|localize)<", plot) == ["classify", "localize"]


def test_the_name_of_a_stage_that_begins_at_the_end_is_not_cut_off() -> None:
    names = re.findall(r"<text ([^>]*)>(classify|localize)<", loss_curves(HISTORY))
    assert [("end" in where, name) for where, name in names] == [(False, "classify"), (True, "localize")]


def test_curves_are_smoothed_and_fill_the_height() -> None:
    (curve,) = re.findall(r'class="line e" d="M([^"]*)"', loss_curves(HISTORY[:2]))
    assert curve == "56.0 10.0L552.0 32.6"  # 2.0, then 0.8 * 2 + 0.2 * 1 = 1.8 of 2


def test_nothing_logged_is_said() -> None:
    assert loss_curves([{"stage": "classify", "epoch": 1}]) == loss_curves([]) == "<p>No losses were logged.</p>"


def test_one_step_of_no_loss_is_a_plot_too() -> None:
    assert loss_curves([{"stage": "classify", "losses": {"ce": 0.0}}]).startswith("<svg")


def test_losses_that_cannot_be_drawn_are_left_out() -> None:
    odd = [{"stage": 7, "losses": {"ce": value}} for value in ("low", None, float("nan"), float("inf"), 10**400)]
    assert "No losses" in loss_curves(odd)
    assert loss_curves([*odd, *HISTORY]).count('class="line') == 2
