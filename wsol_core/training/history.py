"""The losses over time of a training, one JSON object a line. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wsol_core.errors import StorageError
from wsol_core.files import next_step

LONGEST_LINE = 2**20  # bytes; what is longer is no line of ours


class History:
    """Appends to `path`, of which the first `lines` are kept.

    Lines beyond those, written after the checkpoint that a training resumes from, are dropped before the next is
    written, since the steps they tell of are repeated.
    """

    def __init__(self, path: Path, lines: int = 0, on_line: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        self.lines = lines
        self._on_line = on_line
        self._path = path
        self._clean = False

    def add(self, values: Mapping[str, Any]) -> None:
        """One more line."""
        line = json.dumps(values)
        try:
            if not self._clean:
                known = self._path.read_text("utf-8", "replace") if self._path.exists() else ""
                kept = known.splitlines()[: self.lines]
                self._path.write_text("".join(f"{old}\n" for old in kept), encoding="utf-8")
                self.lines, self._clean = len(kept), True
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise StorageError(
                f"{self._path} could not be written: {error.strerror or error}. The last checkpoint is intact; "
                f"{next_step(error)}, then resume the training."
            ) from error
        self.lines += 1
        if self._on_line is not None:
            self._on_line(values)


def read_history(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a history; none where there is no file."""
    found: list[dict[str, Any]] = []
    if not path.is_file():
        return found
    with path.open("rb") as file:
        while (line := file.readline(LONGEST_LINE)) and len(line) < LONGEST_LINE:
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a line cut off by a crash
            if isinstance(values, dict):
                found.append(values)
    return found
