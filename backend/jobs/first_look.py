"""A project's first training where there is no GPU: a brief one, so that boxes come within minutes.

The rest follows by itself, as the retraining rules say, and begins with what the first look has learned.
"""

from __future__ import annotations

from dataclasses import replace

from backend.jobs.context import JobContext
from backend.storage.runs import Run
from wsol_core.config import TrainConfig
from wsol_core.devices import choose_device


def as_first_look(context: JobContext, run: Run) -> Run:
    """Return the run, made brief where it is the project's first, nobody said how long, and a CPU trains it."""
    config = TrainConfig.from_dict(run.config)
    is_open = config.epochs is None and config.minutes is None and not config.brief
    if not is_open or context.stores.models.versions(run.project_id) or choose_device(config.device).type != "cpu":
        return run
    return context.stores.runs.update(run.id, config=replace(config, brief=True).to_dict())
