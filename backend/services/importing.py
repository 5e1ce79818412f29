"""Make or fill a Label Studio project from a folder of labelled pictures, and connect Boxstrap to it.

A task's data holds the picture's address, its classes (`label`) and its path in the folder (`file`), by which a second
import knows what is there already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from backend.errors import RequestError
from backend.labelstudio.class_names import loose, tidy
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.project_client import TITLE, ProjectClient
from backend.labelstudio.recommended_config import LABEL_KEY, recommended_config
from backend.settings import Settings
from backend.storage.stores import Stores
from wsol_core.data.folder import DataFolder
from wsol_core.errors import DataError
from wsol_core.records import Sample

FILE_KEY = "file"
BATCH = 50  # pictures a request
BATCH_BYTES = 50 * 2**20  # Label Studio takes 250 MB
TITLE_LENGTHS = (3, 50)  # that Label Studio takes
SHOWN_BY_BROWSERS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp"}

Json = dict[str, Any]
_Batch = list[tuple[Sample, str]]  # pictures, each with the ending of its format


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. `added` and `known` count tasks; `skipped` has a sentence for each picture left out."""

    project: str
    title: str
    new: bool
    classes: tuple[str, ...]
    added: int
    known: int
    skipped: tuple[str, ...]


@dataclass(slots=True)
class _Source:
    """Where pictures come from: `served_from` is the folder that Label Studio serves, None where they are uploaded."""

    folder: Path
    served_from: Path | None
    skipped: list[str] = field(default_factory=list)


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
    ) -> Imported:
        """Add a task for each picture that the project does not have yet.

        Args:
            folder: Holds the pictures.
            data: What `read_folder` found in it; boxes are not imported.
            project: The number of the project to fill; None finds that of the title, and makes it if there is none.
            title: None is the folder's name.
            served_from: The folder that Label Studio serves as its local files, above `folder`; None uploads pictures.
            on_done: Is told how many pictures have their tasks.

        Raises:
            RequestError: The project's labeling config has no place for the classes, or the title means two projects.
            LabelStudioError: Label Studio refuses, or does not answer; the same import goes on where it ended.
        """
        folder = folder.absolute()
        source = _Source(folder, served_from.absolute() if served_from else None, list(data.skipped))
        if source.served_from is not None and source.served_from not in folder.parents:
            raise RequestError(f"{folder} does not lie below {served_from}, the folder that Label Studio serves.")
        samples = _with_class_names(data.samples)
        classes = tuple(sorted({label for sample in samples for label in sample.labels}))
        found, new = self._project(project, title or _title(folder), classes)
        number, config = str(found["id"]), LabelConfig.parse(str(found["label_config"]))
        if source.served_from is not None:
            self._client.serve_local_files(number, folder)
        there = {str(each[FILE_KEY]) for each in self._client.task_data(number) if FILE_KEY in each}
        missing = [sample for sample in samples if sample.file not in there]
        known, added = len(samples) - len(missing), 0
        for batch in _batches(missing, source):
            self._client.import_tasks(number, self._tasks(number, batch, source, config))
            added += len(batch)
            on_done(known + added)
        return Imported(number, str(found["title"]), new, classes, added, known, tuple(source.skipped))

    def connect(self, project_id: str, url: str) -> None:
        """Connect us to the project at `url`, as Label Studio reaches it; what is connected stays as it is.

        A Boxstrap at another address that does not answer is replaced: Label Studio asks a project's first model only.
        Raises: LabelStudioError where Label Studio does not reach us; then `boxstrap up` tries again.
        """
        connected = self._client.backends(project_id)
        if not any(str(each.get("url")).rstrip("/") == url for each in connected):
            self._stores.connections.want(project_id, url)
            gone = [each for each in connected if each.get("title") == TITLE and each.get("state") != "CO"]
            self._client.remove_backends(gone)
            user, password = self._settings.basic_auth_user, self._settings.basic_auth_pass
            self._client.add_backend(project_id, url, user, password)
        self._stores.connections.done(project_id)

    def _project(self, number: str | None, title: str, classes: Sequence[str]) -> tuple[Json, bool]:
        """Return the project to fill, with a config that has the classes, and whether it was made."""
        if number is None:
            same = self._client.projects_titled(title)
            if len(same) > 1:
                numbers = ", ".join(str(each["id"]) for each in same)
                raise RequestError(f"Projects {numbers} are all called {title!r}; say which one by its number.")
            if not same:
                return self._client.create_project(title, recommended_config(classes)), True
            number = str(same[0]["id"])
        found = self._client.project(number)
        text = str(found.get("label_config", ""))
        if (wanted := _config_with(text, classes, number)) != text:
            found = self._client.update_project(number, label_config=wanted)
        return found, False

    def _tasks(self, number: str, batch: _Batch, source: _Source, config: LabelConfig) -> list[Json]:
        if source.served_from is None:
            names = [(_upload_name(sample, ending), sample.path) for sample, ending in batch]
            addresses = self._client.upload(number, names)
        else:
            below = [sample.path.relative_to(source.served_from).as_posix() for sample, _ in batch]
            addresses = [self._client.local_address(path) for path in below]
        return [
            {"data": {config.image_key: address, LABEL_KEY: _label(sample), FILE_KEY: sample.file}}
            for (sample, _), address in zip(batch, addresses, strict=True)
        ]


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


def _label(sample: Sample) -> str | list[str]:
    return sample.labels[0] if len(sample.labels) == 1 else list(sample.labels)


def _batches(samples: Sequence[Sample], source: _Source) -> Iterator[_Batch]:
    """Yield the pictures that Label Studio can show, some at a time; say of the others why they are left out."""
    batch: _Batch = []
    size = 0
    for sample in samples:
        try:
            ending = _ending_of(sample)
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


def _ending_of(sample: Sample) -> str:
    """Return the ending of the picture's format. Raises: DataError if no browser shows it, or no task can name it."""
    try:
        sample.file.encode()
        with Image.open(sample.path) as image:
            kind = str(image.format)
    except UnicodeEncodeError:
        raise DataError(f"{sample.file!r} is not UTF-8, so no task can name it; rename the file.") from None
    except Exception as error:  # Pillow's plugins raise all kinds
        raise DataError(f"{sample.file} is no picture that can be read ({type(error).__name__}).") from error
    if kind not in SHOWN_BY_BROWSERS:
        raise DataError(f"{sample.file} is {kind}, which browsers do not show; convert it to PNG or JPEG.")
    return SHOWN_BY_BROWSERS[kind]


def _upload_name(sample: Sample, ending: str) -> str:
    """A name that every file system and address takes; the task's data has the real one."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", sample.path.stem)[:50].strip("_")
    return f"{stem or 'picture'}{ending}"
