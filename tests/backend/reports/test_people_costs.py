"""Costs of regions from lead times: those of people who are known are found again, and few times change nothing."""

from __future__ import annotations

import random

import pytest

from backend.reports.people_costs import people_costs
from backend.storage.ledger_rows import LedgerRow
from tests.backend.support.ledger import an_object, row
from wsol_core.localization.worth import BOX_COSTS, Costs

FATES = ("accepted", "edited", "deleted", "added")


def rows_of(people: Costs, count: int, seed: int = 0, looking_s: float = 0.0) -> list[LedgerRow]:
    """Tasks of one to three regions; a drawn one is not verified, and times scatter by a fifth."""
    rng = random.Random(seed)
    price = {
        "accepted": people.verify,
        "edited": people.verify + people.adjust,
        "deleted": people.verify + people.delete,
        "added": people.draw,
    }
    found = []
    for number in range(count):
        fates = [rng.choice(FATES) for _ in range(rng.randint(1, 3))]
        time = looking_s + sum(price[fate] for fate in fates) * rng.uniform(0.8, 1.2)
        objects = [an_object(fate, 0.6 if fate == "edited" else 1.0) for fate in fates]
        found.append(row(number, *objects, lead_time_s=time))
    return found


def test_people_twice_as_slow_have_twice_the_costs() -> None:
    slow = Costs(*(2 * getattr(BOX_COSTS, name) for name in ("verify", "adjust", "delete", "draw")))
    found = people_costs(rows_of(slow, 200), BOX_COSTS)
    assert found is not None
    for name in ("verify", "adjust", "delete", "draw"):
        assert getattr(found, name) == pytest.approx(getattr(slow, name), rel=0.15)


@pytest.mark.parametrize("looking_s", [0.0, 3.0])
def test_a_single_cost_that_differs_is_found_whatever_looking_at_a_task_takes(looking_s: float) -> None:
    found = people_costs(rows_of(Costs(draw=14.0), 400, looking_s=looking_s), BOX_COSTS)
    assert found is not None
    assert 1.6 < found.draw / found.adjust * BOX_COSTS.adjust / BOX_COSTS.draw < 2.4


def test_of_a_fate_that_never_happened_the_published_share_is_left() -> None:
    drawn = [row(number, an_object("added"), version=None, lead_time_s=21.0) for number in range(40)]
    assert people_costs(drawn, BOX_COSTS) == Costs(5.1, 16.5, 10.8, 21.0)


def test_a_tab_that_was_left_open_for_an_hour_does_not_count() -> None:
    rows = rows_of(BOX_COSTS, 60)
    forgotten = [row(100 + number, an_object("accepted"), lead_time_s=3600.0) for number in range(5)]
    assert people_costs([*rows, *forgotten], BOX_COSTS) == people_costs(rows, BOX_COSTS)


def test_few_times_say_nothing() -> None:
    rows = rows_of(BOX_COSTS, 29)
    untimed = [row(100 + number, an_object("accepted"), lead_time_s=None) for number in range(50)]
    assert people_costs([*rows, *untimed], BOX_COSTS) is None
    assert people_costs([*rows, *rows_of(BOX_COSTS, 1, seed=1)], BOX_COSTS) is not None


def test_no_cost_moves_further_than_threefold() -> None:
    found = people_costs(rows_of(Costs(verify=50.0, draw=7.0), 400), BOX_COSTS)
    assert found is not None
    pace = found.draw / BOX_COSTS.draw
    assert found.verify / BOX_COSTS.verify <= 9.01 * pace
