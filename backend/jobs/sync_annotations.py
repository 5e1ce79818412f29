"""RQ job: read what people did in a Label Studio project into the ledger.

Events are hints and get lost, so nothing is taken from them: tasks that changed since the last look are read from the
API. Of what was deleted no trace is left there, so all tasks are read when that may have happened, when the labeling
config has changed, and each six hours. The ledger's cursor says how far it is, page by page.

What is asked for first is what people wait for: predictions of tasks that came after the live version's pre-annotation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rq import get_current_job
from rq.job import Retry

from backend.errors import RequestError
from backend.jobs.context import JobContext, job_context
from backend.jobs.preannotate import request_later_predictions
from backend.jobs.retrying import retried, wait_turn
from backend.labelstudio.client import PAGE, LabelStudioClient
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.reviews import review
from backend.storage.files import locked
from backend.storage.sync_cursor import Scan, SyncCursor

logger = logging.getLogger(__name__)

OVERLAP = timedelta(seconds=5)  # a change is stamped before others can read it
FULL_EVERY_S = 6 * 3600
AT_ONCE_S = 60.0  # of reading without a break: what else waits on the queue comes in between
TURN_S = 2  # between looks whether another process still reads the project

Json = dict[str, Any]


@retried
def sync_annotations(project_id: str, full: bool = False) -> Retry | None:
    """Bring the ledger up to what Label Studio says now; after a kill the next attempt resumes at the cursor.

    Args: full: reads all tasks, whatever the cursor says; JobQueue.sync_annotations asks for that in Redis.
    Raises: UnreachableError when Label Studio is down; RQ tries again.
    """
    context = job_context()
    if context.client is None:
        logger.warning(
            "project %s: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are needed by the workers to read corrections",
            project_id,
        )
        return None
    request_later_predictions(context, project_id)
    with locked(context.settings.home / "observing" / project_id, wait=False) as alone:
        if not alone:
            return wait_turn(TURN_S)
        in_time = time.monotonic() + AT_ONCE_S

        def should_pause() -> bool:
            return time.monotonic() > in_time or context.queue.is_waited_for()

        ended = catch_up(context, project_id, full, should_pause if get_current_job() is not None else lambda: False)
    return None if ended else wait_turn(0)


def catch_up(
    context: JobContext, project_id: str, full: bool = False, should_pause: Callable[[], bool] = lambda: False
) -> bool:
    """Read until nothing that was asked for is left; return False if `should_pause`, asked after each page, said so."""
    client, ledger = context.label_studio(), context.stores.feedback
    text = str(client.project(project_id).get("label_config", ""))
    try:
        config = context.label_config(project_id, text)
    except RequestError as error:
        logger.warning("project %s: corrections are not read: %s", project_id, error)
        return True
    known_as = config.digest
    while True:
        asked, cursor = context.queue.requested_syncs(project_id), ledger.cursor(project_id) or SyncCursor()
        scan = cursor.scan
        everything = full or _needs_everything(cursor, asked, known_as)
        if scan is None or full or scan.config != known_as or (everything and not scan.full):
            scan = _begin(client, project_id, cursor.updated_at, everything, known_as, asked)
        if not _read(context, client, project_id, config, cursor, scan, should_pause):
            return False
        if scan.answered == context.queue.requested_syncs(project_id):
            return True
        full = False


def _needs_everything(cursor: SyncCursor, asked: Mapping[str, int], known_as: str) -> bool:
    return (
        not cursor.updated_at
        or cursor.config != known_as
        or cursor.answered.get("full") != asked.get("full")
        or not 0 <= time.time() - cursor.full_scan < FULL_EVERY_S
    )


def _begin(
    client: LabelStudioClient, project_id: str, known: str, everything: bool, known_as: str, asked: Mapping[str, int]
) -> Scan:
    """Return a scan from the first task on. What changes meanwhile is newer than `updated_at`, so it is read next."""
    newest = client.newest_change(project_id, datetime.fromisoformat(known) if known else None)
    updated_at = newest.isoformat() if newest else known
    return Scan(everything, 0, time.time(), updated_at, known_as, dict(asked))


def _read(
    context: JobContext,
    client: LabelStudioClient,
    project_id: str,
    config: LabelConfig,
    cursor: SyncCursor,
    scan: Scan,
    should_pause: Callable[[], bool],
) -> bool:
    """Read the pages of the scan that are left; return False if it paused."""
    ledger, new = context.stores.feedback, 0
    since = None if scan.full else datetime.fromisoformat(cursor.updated_at) - OVERLAP
    while True:
        page = client.task_page(project_id, scan.after_id, PAGE, since)
        last = len(page) < PAGE
        rows = [row for task in page if (row := review(task, config))]
        new += ledger.put(project_id, rows)
        _forget(context, project_id, page, {row.task for row in rows}, scan, last)
        if last:
            break
        scan = replace(scan, after_id=int(page[-1]["id"]))
        ledger.set_cursor(project_id, replace(cursor, scan=scan))
        if should_pause():
            return False
    full_scan = scan.began if scan.full else cursor.full_scan
    ledger.set_cursor(project_id, SyncCursor(scan.updated_at, scan.config, scan.answered, full_scan, time.time()))
    if new:
        logger.info("project %s: people said something new of %d tasks", project_id, new)
    return True


def _forget(context: JobContext, project_id: str, page: list[Json], kept: set[int], scan: Scan, last: bool) -> None:
    """Remove the rows of tasks without any annotation now, and in a full scan of tasks that are gone."""
    ledger = context.stores.feedback
    if scan.full:
        ledger.forget(project_id, kept, scan.after_id, None if last else int(page[-1]["id"]))
        return
    for number in {int(task["id"]) for task in page} - kept:
        ledger.forget(project_id, (), number - 1, number)
