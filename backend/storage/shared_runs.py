"""Runs that several machines share in a bucket, so that a training survives the machine that runs it.

    runs/<run>.json                  the record, changed under a condition
    run-files/<run>/pictures.tar     manifest, pictures and masks, once they are frozen
    run-files/<run>/model.tar        checkpoint, history and model, as often as they change

Whoever goes on with a run takes the two first; the machine that wrote them last keeps what it has.
"""

from __future__ import annotations

import logging
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from backend.storage.bucket import Bucket
from backend.storage.files import Damage, json_text, parse_record, safe_name, write_text
from backend.storage.runs import MANIFEST, MODEL, PICTURES, Run, RunStore, known_run, run_of
from backend.storage.shared_folder import SharedFolder
from backend.threads import meanwhile
from wsol_core.errors import StorageError

logger = logging.getLogger(__name__)

EVERY_S = 2.0  # looks whether the run's files have changed
FILES = {"pictures.tar": (*PICTURES, MANIFEST), "model.tar": (MODEL,)}


class SharedRunStore(RunStore):
    """Runs of a bucket; their files lie below `root` on the machine that works on them."""

    def __init__(self, bucket: Bucket, local: Path, damage: Damage | None = None) -> None:
        super().__init__(local / "runs", damage)
        self._bucket, self._shared = bucket, SharedFolder(bucket, "runs", local / "run-records")
        self._cleared: set[str] = set()  # runs whose files are gone from the bucket

    def read(self, run_id: str) -> Run:
        """As in the base."""
        self._shared.pull(self._name(run_id))
        return super().read(run_id)

    def find(self, run_id: str) -> Run | None:
        """As in the base."""
        self._shared.pull(self._name(run_id))
        return super().find(run_id)

    def names(self, begin: str = "") -> list[str]:
        """As in the base."""
        self._shared.pull_all(lambda name: name.endswith(".json"))
        return [path.stem for path in self._shared.local.glob(f"{begin}*.json")]

    def clear(self, run_id: str, everything: bool = True) -> None:
        """As in the base; in the bucket nobody needs any file of a run that has ended."""
        super().clear(run_id, everything)
        if run_id not in self._cleared:
            with suppress(StorageError):  # the next round does it
                for tar in FILES:
                    self._bucket.remove(_object(run_id, tar))
                self._cleared.add(run_id)

    @contextmanager
    def working_on(self, run_id: str) -> Iterator[None]:
        """Fetch what another machine has left, and send what changes, until the run's work here ends."""
        carrier = _Carrier(self._bucket, run_id, self.folder(run_id))
        carrier.fetch()
        try:
            with meanwhile(carrier.send_until, "run files"):
                yield
        finally:
            if (run := self.find(run_id)) is not None and run.state.has_ended:
                self._cleared.discard(run_id)  # it may have been sent once more since
                self.clear(run_id, everything=False)

    def _change(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        path, found = self._record(run_id), list[Run]()

        def changed(text: str | None) -> str | None:
            before = None if text is None else parse_record(path, text, lambda values: run_of(run_id, values))
            after = change(known_run(run_id, before))
            found.append(after)
            return None if after == before else json_text(asdict(after))

        self._shared.change(self._name(run_id), changed)
        return found[-1]

    def _write(self, run: Run) -> None:
        self._shared.put(self._name(run.id), json_text(asdict(run)))

    def _record(self, run_id: str) -> Path:
        return self._shared.local / self._name(run_id)

    def _name(self, run_id: str) -> str:
        return f"{safe_name(run_id, 'run')}.json"


class _Carrier:
    """Carries the files of one run between this machine and the bucket."""

    def __init__(self, bucket: Bucket, run_id: str, folder: Path) -> None:
        self._bucket, self._run_id, self._folder = bucket, run_id, folder
        self._sent: dict[str, float] = {}  # tar -> newest change in it

    def fetch(self) -> None:
        """Have the newest files here. Raises: StorageError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, tag in self._bucket.tags(_object(self._run_id, "")).items():
            tar = name.rpartition("/")[2]
            if tar in FILES and _text(self._mark(tar)) != tag:
                self._unpack(tar, tag)
        for tar in FILES:
            self._sent[tar] = self._newest(tar) if self._mark(tar).is_file() else 0.0

    def send_until(self, done: threading.Event) -> None:
        """Send what has changed every few seconds, and once more in the end."""
        while not done.wait(EVERY_S):
            self._send_changed()
        self._send_changed()

    def _send_changed(self) -> None:
        for tar in FILES:
            newest = self._newest(tar)
            if newest > self._sent[tar] and (self._folder / MANIFEST).is_file():
                try:
                    self._send(tar)
                    self._sent[tar] = newest
                except (StorageError, OSError) as error:
                    logger.warning("run %s: its files are not kept for other machines yet: %s", self._run_id, error)

    def _newest(self, tar: str) -> float:
        """When anything that belongs into it has changed last; 0 where there is nothing."""
        paths = [self._folder / MANIFEST] if tar == "pictures.tar" else (self._folder / MODEL).glob("[!.]*")
        times = [0.0]
        for path in paths:
            with suppress(FileNotFoundError):  # a checkpoint goes when the model is there
                times.append(path.stat().st_mtime)
        return max(times)

    def _send(self, tar: str) -> None:
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".send-") as file:
            with tarfile.open(fileobj=file, mode="w") as packed:
                for name in FILES[tar]:
                    _pack(packed, self._folder, name)
            file.flush()
            write_text(self._mark(tar), self._bucket.send(Path(file.name), _object(self._run_id, tar)))

    def _unpack(self, tar: str, tag: str) -> None:
        self._remove(tar)  # what this machine had when another one went on
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".fetch-") as file:
            if not self._bucket.fetch(_object(self._run_id, tar), Path(file.name)):
                return
            try:
                with tarfile.open(file.name) as packed:
                    packed.extractall(self._folder, filter="data")
            except tarfile.TarError as error:  # made anew, which costs time alone
                logger.warning("run %s: %s in the bucket is torn, and is left out: %s", self._run_id, tar, error)
                self._remove(tar)
        write_text(self._mark(tar), tag)

    def _remove(self, tar: str) -> None:
        for path in (self._folder / name for name in FILES[tar]):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _mark(self, tar: str) -> Path:
        """The file that names the content of the bucket that is here."""
        return self._folder / f".{tar}-tag"


def _pack(packed: tarfile.TarFile, folder: Path, name: str) -> None:
    """Add a file, or the files of a folder: the checkpoint first, since a history may go on behind it, never lack."""
    path = folder / name
    files = sorted(path.glob("[!.]*"), key=lambda file: file.suffix != ".pt") if path.is_dir() else [path]
    for found in files:
        with suppress(FileNotFoundError, IsADirectoryError), found.open("rb") as file:
            # By the open file: another one may take its name meanwhile.
            packed.addfile(packed.gettarinfo(arcname=found.relative_to(folder).as_posix(), fileobj=file), file)


def _object(run_id: str, name: str) -> str:
    return f"run-files/{safe_name(run_id, 'run')}/{name}"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
