"""Which run becomes a first look, and what its version is to the gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.jobs.context import JobContext, job_context
from backend.jobs.first_look import as_first_look
from backend.jobs.promotion_gate import judge
from backend.storage.version_facts import GateCriterion, VersionFacts
from wsol_core.config import TrainConfig
from wsol_core.localization.model_folder import read_card

PROJECT = "7"
OPEN = TrainConfig(backbone="tiny", device="cpu")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobContext]:
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path))
    job_context.cache_clear()
    yield job_context()
    job_context.cache_clear()


def is_brief(context: JobContext, config: TrainConfig) -> bool:
    run = context.stores.runs.create(PROJECT, config.to_dict())
    assert as_first_look(context, run) == context.stores.runs.read(run.id)
    return context.stores.runs.read(run.id).is_first_look


def test_the_first_training_on_a_cpu_is_brief_where_nobody_says_how_long(context: JobContext, model: Path) -> None:
    assert is_brief(context, OPEN)
    assert not is_brief(context, replace(OPEN, minutes=5.0)) and not is_brief(context, replace(OPEN, epochs=5))
    context.stores.models.publish(PROJECT, model, VersionFacts(run="a"))
    assert not is_brief(context, OPEN)


def test_figures_of_a_first_look_do_not_keep_the_whole_training_away(context: JobContext, model: Path) -> None:
    looked = VersionFacts(run="a", config={"brief": True}, metrics={"holdout_score": 1.0})
    context.stores.models.publish(PROJECT, model, looked)
    card = replace(read_card(model), faults=(), metrics={"holdout_score": 0.5})
    found = judge(context, PROJECT, model, card, ())
    assert (found.criterion, found.promoted) == (GateCriterion.FIRST_LOOK, True)
    brief = replace(card, config=replace(OPEN, brief=True))
    assert not judge(context, PROJECT, model, brief, ()).promoted
