"""version.json and the gate's record: one JSON, that of earlier versions, and whatever somebody else wrote."""

from __future__ import annotations

import json

import pytest

from backend.settings import GateMode
from backend.storage.version_facts import GateCriterion, GateDecision, VersionFacts

DECISION = GateDecision(
    mode=GateMode.SUGGEST,
    criterion=GateCriterion.HOLDOUT,
    against="boxstrap-7-0001",
    pictures=9,
    passed=True,
    promoted=False,
    sentence="Not worse.",
    measures={"box_iou": {"live": 0.5, "new": 0.6, "difference": 0.1}},
)


def test_facts_come_back_from_json_as_they_were() -> None:
    facts = VersionFacts(run="a", classes=("fish",), pictures=12, metrics={"holdout_score": 0.5}, gate=DECISION)
    assert VersionFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts


def test_enums_are_written_as_their_texts() -> None:
    values = json.loads(json.dumps(DECISION.to_dict()))
    assert (values["mode"], values["criterion"]) == ("suggest", "holdout")


@pytest.mark.parametrize("values", [None, {}, "odd", 7, {"mode": "sometimes"}, {"criterion": "by eye"}])
def test_what_is_no_decision_is_none(values: object) -> None:
    assert GateDecision.from_dict(values) is None


def test_keys_that_are_missing_or_unknown_do_no_harm() -> None:
    found = VersionFacts.from_dict({"classes": None, "metrics": None, "colour": "red", "gate": {"passed": True}})
    assert (found.classes, found.metrics) == ((), {})
    assert found.gate is not None and found.gate.passed and found.gate.sentence == ""
