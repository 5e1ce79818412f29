"""Make or fill a Label Studio project from a folder of labelled pictures, and connect Boxstrap to it.

A task's data holds the picture's address, its classes (`label`) and its path in the folder (`file`), by which a second
import knows what is there already.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.errors import RequestError
from backend.labelstudio.class_names import loose, tidy
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.project_client import TITLE, ProjectClient
from backend.labelstudio.recommended_config import LABEL_KEY, recommended_config
from backend.services.uploads import ending_of, upload_name
from backend.settings import Settings
from backend.storage.stores import Stores
from wsol_core.data.folder import DataFolder
from wsol_core.errors import DataError
from wsol_core.records import Sample

FILE_KEY = "file"
BATCH = 50  # pictures a request
BATCH_BYTES = 50 * 2**20
TITLE_LENGTHS = (3, 50)  # that Label Studio takes

Json = dict[str, Any]
_Batch = list[tuple[Sample, str]]  # pictures, each with the ending of its format


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do. `added` and `known` count tasks; `skipped` says why pictures are left out.

    `project` is "" where it is still to be made. `config_changed`: a project that was there got labels for new classes.
    """

    project: str
    title: str
    new: bool
    classes: tuple[str, ...]
    added: int
    known: int
    skipped: tuple[str, ...]
    config_changed: bool = False


@dataclass(slots=True)
class _Source:
    """Where pictures come from: `served_from` is the folder that Label Studio serves, None where they are uploaded."""

    folder: Path
    served_from: Path | None
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done. `found` is the project as Label Studio has it, None: make it; `config` has all classes."""

    source: _Source
    found: Json | None
    title: str
    config: str
    classes: tuple[str, ...]
    samples: Sequence[Sample]
    missing: Sequence[Sample]

    @property
    def changes_config(self) -> bool:
        """Whether a project that is there has to get another labeling config."""
        return self.found is not None and self.found.get("label_config") != self.config

    @property
    def number(self) -> str:
        """Of the project; "" before it is made."""
        return "" if self.found is None else str(self.found["id"])

    @property
    def known(self) -> int:
        """How many pictures have their tasks already."""
        return len(self.samples) - len(self.missing)

    def outcome(self, project: str, added: int) -> Imported:
        """Return what it comes to, with so many tasks added."""
        new, changed, skipped = self.found is None, self.changes_config, tuple(self.source.skipped)
        return Imported(project, self.title, new, self.classes, added, self.known, skipped, changed)


class ImportService:
    """Talks to Label Studio as the user whose token the settings hold."""

    def __init__(self, settings: Settings, stores: Stores, client: ProjectClient) -> None:
        self._settings, self._stores, self._client = settings, stores, client

    def import_folder(
        self,
        folder: Path,
        data: DataFolder,
        project: str | None = None,
        title: str | None = None,
        served_from: Path | None = None,
        on_done: Callable[[int], None] = lambda _count: None,
        dry_run: bool = False,
    ) -> Imported:
        """Add a task for each picture that the project does not have yet.

        Args:
            folder: Holds the pictures.
            data: What `read_folder` found in it; boxes are not imported.
            project: The number of the project to fill; None finds that of the title, and makes it if there is none.
            title: None is the folder's name.
            served_from: The folder that Label Studio serves as its local files, above `folder`; None uploads pictures.
            on_done: Is told how many pictures have their tasks.
            dry_run: Only look: write nothing, and return what would be done.

        Raises:
            RequestError: The project's labeling config has no place for the classes, or the title means two projects.
            LabelStudioError: Label Studio refuses, or does not answer; the same import goes on where it ended.
        """
        plan = self._plan(folder, data, project, title, served_from)
        number = plan.number if dry_run else self._prepare(plan)
        config, added = LabelConfig.parse(plan.config), 0
        for batch in _batches(plan.missing, plan.source):
            if not dry_run:
                self._client.import_tasks(number, self._tasks(number, batch, plan.source, config))
            added += len(batch)
            on_done(plan.known + added)
        return plan.outcome(number, added)

    def connect(self, project_id: str, url: str) -> None:
        """Connect us to the project at `url`, as Label Studio reaches it; what is connected stays as it is.

        A Boxstrap at another address that does not answer is replaced: Label Studio asks a project's first model only.
        Raises: LabelStudioError where Label Studio does not reach us; then `boxstrap up` tries again.
        """
        connected = self._client.backends(project_id)
        if not _has(connected, url):
            self._stores.connections.want(project_id, url)
            gone = [each for each in connected if each.get("title") == TITLE and each.get("state") != "CO"]
            self._client.remove_backends(gone)
            user, password = self._settings.basic_auth_user, self._settings.basic_auth_pass
            self._client.add_backend(project_id, url, user, password)
            # `boxstrap up` may have connected us meanwhile, too.
            same = [each for each in self._client.backends(project_id) if _has([each], url)]
            self._client.remove_backends(sorted(same, key=lambda each: int(each["id"]))[1:])
        self._stores.connections.done(project_id)

    def is_connected(self, project_id: str, url: str) -> bool:
        """Return whether the project has a backend at `url`."""
        return _has(self._client.backends(project_id), url)

    def _plan(
        self, folder: Path, data: DataFolder, number: str | None, title: str | None, served_from: Path | None
    ) -> _Plan:
        """Return what an import has to do; nothing is written."""
        folder = folder.absolute()
        source = _Source(folder, served_from.absolute() if served_from else None, list(data.skipped))
        if source.served_from is not None and source.served_from not in folder.parents:
            raise RequestError(f"{folder} does not lie below {served_from}, the folder that Label Studio serves.")
        samples = _with_class_names(data.samples)
        classes = tuple(sorted({label for sample in samples for label in sample.labels}))
        title = title or _title(folder)
        found = self._project(number, title)
        if found is None:
            return _Plan(source, None, title, recommended_config(classes), classes, samples, samples)
        number = str(found["id"])
        config = _config_with(str(found.get("label_config", "")), classes, number)
        there = {_composed(str(each[FILE_KEY])) for each in self._client.task_data(number) if FILE_KEY in each}
        missing = [sample for sample in samples if _composed(sample.file) not in there]
        return _Plan(source, found, str(found["title"]), config, classes, samples, missing)

    def _prepare(self, plan: _Plan) -> str:
        """Return the number of the project, which is there now, with all classes and its storage."""
        found = plan.found
        if found is None:
            found = self._client.create_project(plan.title, plan.config)
        elif plan.changes_config:
            self._client.update_project(str(found["id"]), label_config=plan.config)
        if plan.source.served_from is not None:
            self._client.serve_local_files(str(found["id"]), plan.source.folder)
        return str(found["id"])

    def _project(self, number: str | None, title: str) -> Json | None:
        """Return the project to fill; None where it has to be made."""
        if number is None:
            same = self._client.projects_titled(title)
            if len(same) > 1:
                numbers = ", ".join(str(each["id"]) for each in same)
                raise RequestError(f"Projects {numbers} are all called {title!r}; say which one by its number.")
            if not same:
                return None
            number = str(same[0]["id"])
        return self._client.project(number)

    def _tasks(self, number: str, batch: _Batch, source: _Source, config: LabelConfig) -> list[Json]:
        if source.served_from is None:
            names = [(upload_name(sample, ending), sample.path) for sample, ending in batch]
            addresses = self._client.upload(number, names)
        else:
            below = [sample.path.relative_to(source.served_from).as_posix() for sample, _ in batch]
            addresses = [self._client.local_address(path) for path in below]
        return [
            {"data": {config.image_key: address, LABEL_KEY: _label(sample), FILE_KEY: sample.file}}
            for (sample, _), address in zip(batch, addresses, strict=True)
        ]


def _has(backends: Sequence[Json], url: str) -> bool:
    return any(str(each.get("url")).rstrip("/") == url for each in backends)


def _title(folder: Path) -> str:
    least, most = TITLE_LENGTHS
    name = folder.name[:most]
    return name if len(name) >= least else f"Folder {name}"


def _config_with(text: str, classes: Sequence[str], number: str) -> str:
    """Return a config that has all classes: the given one, or one that is written for them in place of our own."""
    if "".join(text.split()) in ("", "<View></View>", "<View/>"):
        return recommended_config(classes)
    config = LabelConfig.parse(text)
    lacking = [name for name in classes if config.label_for(name) is None]
    if not lacking:
        return text
    if text == recommended_config(config.classes):
        return recommended_config((*config.classes, *lacking))
    raise RequestError(
        f"The labeling config of project {number} has no label for {', '.join(map(repr, lacking))}; add "
        f"{''.join(f'<Label value={name!r}/>' for name in lacking)} to its controls, or import into another project."
    )


def _with_class_names(samples: Sequence[Sample]) -> list[Sample]:
    """Give what people take for one class one name: accents are written in two ways, case and blanks differ."""
    names: dict[str, str] = {}

    def name_of(label: str) -> str:
        return names.setdefault(loose(label), tidy(label))

    found = [tuple(dict.fromkeys(filter(None, map(name_of, sample.labels)))) for sample in samples]
    return [Sample(sample.file, sample.path, labels) for sample, labels in zip(samples, found, strict=True)]


def _composed(name: str) -> str:
    """Return a file's name in the one form that it may have on another disk: a Mac's has accents apart."""
    return unicodedata.normalize("NFC", name)


def _label(sample: Sample) -> str | list[str]:
    return sample.labels[0] if len(sample.labels) == 1 else list(sample.labels)


def _batches(samples: Sequence[Sample], source: _Source) -> Iterator[_Batch]:
    """Yield the pictures that Label Studio can show, some at a time; say of the others why they are left out."""
    batch: _Batch = []
    size = 0
    for sample in samples:
        try:
            ending = ending_of(sample, is_uploaded=source.served_from is None)
        except DataError as error:
            source.skipped.append(str(error))
            continue
        if batch and (len(batch) >= BATCH or size + sample.path.stat().st_size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((sample, ending))
        size += sample.path.stat().st_size
    if batch:
        yield batch
