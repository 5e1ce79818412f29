"""The ledger: a row for each task with what people made of its prediction, and how far Label Studio has been read.

One SQLite file for all projects, which several processes may use; each call is one transaction, kept or not at all
when its process dies. labelstudio/reviews.py makes the rows; `changed` and `doubt` of a row are added here.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from backend.storage.files import Damage
from backend.storage.ledger_rows import ClassDoubt, LedgerRow
from backend.storage.sqlite_file import SqliteFile
from backend.storage.sync_cursor import SyncCursor

LAYOUT = """
CREATE TABLE IF NOT EXISTS rows (
    project TEXT, task INTEGER, digest TEXT, changed REAL, outcome TEXT, row TEXT, PRIMARY KEY (project, task)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changes ON rows (project, changed, outcome);
CREATE TABLE IF NOT EXISTS doubts (project TEXT, task INTEGER, doubt TEXT, PRIMARY KEY (project, task)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (project TEXT PRIMARY KEY, cursor TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS preannotated (project TEXT PRIMARY KEY, next TEXT) WITHOUT ROWID;
"""

READABLE = "CASE WHEN json_valid(rows.row) THEN rows.row ELSE '{}' END"  # SQLite's JSON functions raise otherwise

Json = dict[str, Any]
Record = TypeVar("Record")
logger = logging.getLogger(__name__)


class FeedbackStore:
    """Every method raises DamagedFileError where the file is broken, StorageError where it cannot be written.

    Rows that cannot be understood are left out: a reading of all tasks, four times a day, writes them again.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time, damage: Damage | None = None) -> None:
        """Nothing is made on disk before something is kept."""
        self.path, self._clock = path, clock
        self._file = SqliteFile(path, LAYOUT, "what people said is read from Label Studio again", damage)

    def put(self, project_id: str, rows: Iterable[LedgerRow]) -> int:
        """Put rows in place of those that their tasks have; return how many digests are new.

        Where the digest is the same, `changed` stays, and so does what is known of a prediction that is gone since.
        """
        new, now = 0, self._clock()
        with self._file.transaction() as db:
            for row in rows:
                known = db.execute(
                    "SELECT digest, changed, row FROM rows WHERE project = ? AND task = ?", (project_id, row.task)
                ).fetchone()
                changed = now
                if known is not None and known[0] == row.digest:
                    changed = known[1]
                    row = _with_known_prediction(_row(known[2]) or row, row)
                else:
                    new += 1
                db.execute(
                    "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?)",
                    (project_id, row.task, row.digest, changed, row.outcome.value, json.dumps(row.to_dict())),
                )
        return new

    def rows(self, project_id: str) -> list[LedgerRow]:
        """Return all rows, by task."""
        found = self._file.all(
            "SELECT row, changed, doubt FROM rows LEFT JOIN doubts USING (project, task) WHERE project = ? "
            "ORDER BY task",
            project_id,
        )
        return [row for values in found if (row := _row(*values)) is not None]

    def newest_reviewed(self, project_id: str, most: int) -> list[LedgerRow]:
        """Return the rows that changed last, at most so many, of those tasks that people accepted or corrected."""
        found = self._file.all(
            "SELECT row, changed FROM rows WHERE project = ? AND outcome IN ('accepted', 'corrected') "
            "ORDER BY changed DESC LIMIT ?",
            project_id,
            most,
        )
        return [row for values in found if (row := _row(*values)) is not None]

    def forget(self, project_id: str, keep: Collection[int], above: int = 0, up_to: int | None = None) -> None:
        """Remove the rows of all tasks but those to `keep`.

        Args: above, up_to: only of tasks whose number is greater than the one and not greater than the other.
        """
        most = 2**63 - 1 if up_to is None else up_to
        with self._file.transaction() as db:
            for table in ("rows", "doubts"):
                where = f"FROM {table} WHERE project = ? AND task > ? AND task <= ?"
                found = db.execute(f"SELECT task {where}", (project_id, above, most)).fetchall()
                gone = [(project_id, task) for (task,) in found if task not in keep]
                db.executemany(f"DELETE FROM {table} WHERE project = ? AND task = ?", gone)

    def set_doubt(self, project_id: str, task: int, doubt: ClassDoubt | None) -> None:
        """Keep the doubt about the task's classes, also if the task has no row yet; None removes it."""
        with self._file.transaction() as db:
            db.execute("DELETE FROM doubts WHERE project = ? AND task = ?", (project_id, task))
            if doubt is not None:
                db.execute("INSERT INTO doubts VALUES (?, ?, ?)", (project_id, task, json.dumps(asdict(doubt))))

    def corrected_since(self, project_id: str, since: float) -> int:
        """Count the corrected tasks that have changed after `since`, seconds since 1970."""
        sql = "SELECT count(*) FROM rows WHERE project = ? AND changed > ? AND outcome = 'corrected'"
        return self._file.number(sql, project_id, since)

    def changed_since(self, project_id: str, since: float) -> int:
        """Count the tasks that have changed after `since`, seconds since 1970, whatever people made of them."""
        sql = "SELECT count(*) FROM rows WHERE project = ? AND changed > ?"
        return self._file.number(sql, project_id, since)

    def class_counts(self, project_id: str) -> dict[str, int]:
        """Return how many pictures people gave each class, the most frequent first."""
        sql = (
            f"SELECT label.value, count(*) FROM rows, json_each({READABLE}, '$.labels') AS label WHERE project = ? "
            "GROUP BY label.value ORDER BY count(*) DESC, label.value"
        )
        return {str(label): int(count) for label, count in self._file.all(sql, project_id)}

    def outcome_counts(self, project_id: str) -> dict[str, int]:
        """Return how many tasks have each outcome."""
        return dict(self._file.all("SELECT outcome, count(*) FROM rows WHERE project = ? GROUP BY outcome", project_id))

    def fate_counts(self, project_id: str) -> dict[tuple[str, str], int]:
        """Return how many objects each version's predictions have by what became of them: (version, fate) -> objects.

        Rows of versions before those that tell objects apart have none.
        """
        sql = (
            f"SELECT json_extract({READABLE}, '$.version') AS version, json_extract(object.value, '$.fate') AS fate, "
            f"count(*) FROM rows, json_each({READABLE}, '$.objects') AS object WHERE project = ? "
            "AND object.type = 'object' AND version IS NOT NULL GROUP BY version, fate"
        )
        return {(version, fate): count for version, fate, count in self._file.all(sql, project_id)}

    def corrected_labels(self, project_id: str) -> dict[int, frozenset[str]]:
        """Return the classes of each corrected task."""
        sql = "SELECT task, row FROM rows WHERE project = ? AND outcome = 'corrected' ORDER BY task"
        found = ((task, _parsed(row, _labels)) for task, row in self._file.all(sql, project_id))
        return {int(task): labels for task, labels in found if labels is not None}

    def cursor(self, project_id: str) -> SyncCursor | None:
        """Return how far the project has been read; None before the first time, or where that cannot be understood."""
        found = self._file.first("SELECT cursor FROM cursors WHERE project = ?", project_id)
        return None if found is None else _parsed(found[0], SyncCursor.from_dict)

    def set_cursor(self, project_id: str, cursor: SyncCursor) -> None:
        """Keep how far the project has been read."""
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (project_id, json.dumps(cursor.to_dict())))

    def next_chunk(self, project_id: str) -> Json | None:
        """Return where pre-annotation goes on when tasks come; None before one has ended."""
        found = self._file.first("SELECT next FROM preannotated WHERE project = ?", project_id)
        return None if found is None else dict(json.loads(found[0]))

    def set_next_chunk(self, project_id: str, chunk: Json) -> None:
        """Keep where pre-annotation goes on, as JSON values."""
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO preannotated VALUES (?, ?)", (project_id, json.dumps(chunk)))


def _row(row: object, changed: float | None = None, doubt: object = None) -> LedgerRow | None:
    """Return the row that the texts of its columns stand for; None where they stand for none."""
    doubted = _parsed(doubt, ClassDoubt.from_dict) if doubt else None
    return _parsed(row, lambda values: LedgerRow.from_dict(values, changed, doubted))


def _labels(values: Json) -> frozenset[str]:
    return frozenset(map(str, values["labels"]))


def _parsed(text: object, parse: Callable[[Json], Record]) -> Record | None:
    try:
        return parse(json.loads(str(text)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        logger.warning("the ledger holds %.40r, which cannot be understood: %s", text, error)
        return None


def _with_known_prediction(known: LedgerRow, row: LedgerRow) -> LedgerRow:
    """`row`, with what `known` says of the prediction where that cannot be found any more.

    Label Studio takes a deleted prediction's number out of the annotations that began from it.
    """
    if row.version is not None or known.version is None:
        return row
    return replace(row, outcome=known.outcome, version=known.version, score=known.score, objects=known.objects)
