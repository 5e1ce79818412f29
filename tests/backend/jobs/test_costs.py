"""What regions cost: as published, until a project's own people have shown how long theirs take."""

from __future__ import annotations

import logging

import pytest

from backend.images.image_store import ImageStore
from backend.jobs.context import JobContext
from backend.jobs.model_cache import ModelCache
from backend.queueing.queue import JobQueue
from backend.settings import Settings
from backend.storage.stores import Stores
from tests.backend.support.ledger import FIRST, SECOND, an_object, row
from wsol_core.localization.worth import BOX_COSTS


@pytest.fixture
def context(settings: Settings, stores: Stores, queue: JobQueue) -> JobContext:
    return JobContext(settings, stores, queue, ImageStore.from_settings(settings, None), ModelCache(0, "cpu"), None)


def test_a_version_follows_the_times_of_before_its_first_prediction(context: JobContext) -> None:
    assert context.costs("7", FIRST, BOX_COSTS) == BOX_COSTS
    drawn = [row(number, an_object("added"), lead_time_s=21.0) for number in range(40)]
    context.stores.feedback.put("7", drawn)
    assert context.costs("7", FIRST, BOX_COSTS) == BOX_COSTS
    assert context.costs("7", SECOND, BOX_COSTS).draw == 21.0
    assert context.costs("8", SECOND, BOX_COSTS) == BOX_COSTS


def test_a_damaged_ledger_leaves_the_published_ones(context: JobContext, caplog: pytest.LogCaptureFixture) -> None:
    context.stores.feedback.path.parent.mkdir(parents=True, exist_ok=True)
    context.stores.feedback.path.write_bytes(b"not a database" * 100)
    with caplog.at_level(logging.WARNING):
        assert context.costs("7", FIRST, BOX_COSTS) == BOX_COSTS
    assert "published times are taken" in caplog.text
