"""Large projects in a real Label Studio, made in seconds instead of hours, and what our first readings of them leave.

Label Studio imports a thousand tasks, whose rows are then copied in its database. The index of what they teach, the
ledger and the pictures in the cache are made from these rows by the functions that the jobs have for them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from backend.jobs.context import JobContext
from backend.jobs.read_samples import indexed_task, rules_of
from backend.labelstudio.reviews import review
from backend.storage.sample_index import IndexCursor
from backend.storage.sync_cursor import SyncCursor
from demo.project import DemoProject

IMPORTED = 1000  # tasks; Label Studio takes as long for each that it imports

Json = dict[str, Any]


def fill(label_studio: DemoProject, project: int, database: Path, count: int, task: Callable[[int], Json]) -> None:
    """Add `count` tasks, a multiple of IMPORTED where it is more.

    Args: database: Label Studio's SQLite file. task: what to import as a number's task; its picture's address ends with
        `?copy=` and the number. Copies have the number of their round before it.
    """
    label_studio.import_tasks(project, [task(number) for number in range(min(count, IMPORTED))])
    with closing(sqlite3.connect(database, timeout=60)) as db, db:
        for copy in range(1, count // IMPORTED):
            shift = copy * IMPORTED
            moved = {"data": f"replace(data, '?copy=', '?copy={copy}-')", "inner_id": f"inner_id + {shift}"}
            _copy(db, "task", {"id": f"id + {shift}", **moved}, project)
            of_task = {"id": "NULL", "task_id": f"task_id + {shift}"}
            _copy(db, "task_completion", {**of_task, "unique_id": "lower(hex(randomblob(16)))"}, project)
            _copy(db, "prediction", of_task, project)


def put_in_place(context: JobContext, project: str, database: Path, file_of: Callable[[str], Path]) -> None:
    """Leave behind what first readings leave: index, ledger, pictures in the cache.

    Args: file_of: the file of the picture at an address.
    """
    config = context.label_config(project, str(context.label_studio().project(project)["label_config"]))
    index, ledger = context.stores.samples(project), context.stores.feedback
    newest = ""
    every = list(_tasks(database, project))
    for tasks in (every[start : start + IMPORTED] for start in range(0, len(every), IMPORTED)):
        index.put([indexed_task(task, config, project) for task in tasks])
        ledger.put(project, [row for task in tasks if (row := review(task, config))])
        newest = max(newest, *(task["updated_at"] for task in tasks))
        for task in tasks:
            kept = context.media.path_of(task["data"]["image"], project)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.hardlink_to(file_of(task["data"]["image"]))
    index.set_cursor(IndexCursor(newest, rules_of(config), None))
    ledger.set_cursor(project, SyncCursor(newest, config.digest, {}, time.time(), time.time()))


def _copy(db: sqlite3.Connection, table: str, changed: dict[str, str], project: int) -> None:
    """Copy the rows of the tasks that were imported, with other values for some columns."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(name, name) for name in columns)
    task_id = "id" if table == "task" else "task_id"
    end = f"(SELECT min(id) + {IMPORTED} FROM task WHERE project_id = {project})"
    where = f"project_id = {project} AND {task_id} < {end}"
    db.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE {where}")


def _tasks(database: Path, project: str) -> Iterator[Json]:
    """The tasks as Label Studio's API sends them, as far as they are read."""
    said = "'id', said.id, 'result', json(result), 'was_cancelled', json('false'), 'updated_at', said.updated_at"
    sql = (
        f"SELECT task.id, data, task.updated_at, json_group_array(json_object({said})) FROM task "
        "JOIN task_completion said ON task_id = task.id WHERE task.project_id = ? GROUP BY task.id ORDER BY task.id"
    )
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as db:
        for number, data, changed, annotations in db.execute(sql, (project,)):
            task = {"id": number, "data": json.loads(data), "updated_at": f"{changed.replace(' ', 'T')}Z"}
            yield {**task, "annotations": json.loads(annotations), "predictions": []}
