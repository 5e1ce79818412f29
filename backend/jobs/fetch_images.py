"""Fetch the pictures of many tasks at a time; a picture that cannot be had fails its own task only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backend.errors import ImageError, ImageNotNowError
from backend.images.image_store import ImageStore
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.task_labels import image_reference
from backend.labelstudio.task_views import TaskView, views_of
from backend.storage.sample_index import IndexedPicture

logger = logging.getLogger(__name__)

AT_A_TIME = 8


def fetch_images(
    media: ImageStore,
    tasks: Sequence[Mapping[str, Any]],
    config: LabelConfig,
    project_id: str,
    files: Mapping[int, Path] = MappingProxyType({}),
) -> list[Path | ImageError]:
    """Return the file of each task's first picture, or why there is none, in the order of the tasks.

    Args: files: index of a task -> its picture, where that is on disk already.
    """
    return fetch_views(media, [views_of(task, config)[0] for task in tasks], project_id, files)


def fetch_views(
    media: ImageStore,
    views: Sequence[TaskView],
    project_id: str,
    files: Mapping[int, Path] = MappingProxyType({}),
) -> list[Path | ImageError]:
    """Return the file of each picture, or why there is none, in their order.

    Args: files: index of a picture -> its file, where that is on disk already.
    """

    def fetch(index: int) -> Path:
        view = views[index]
        if index in files:
            return media.checked(files[index])
        return media.fetch(image_reference(view.task, view.config), project_id, view.task.get("id"))

    return _fetch_all(project_id, [view.task.get("id") for view in views], fetch)


def fetch_indexed(media: ImageStore, pictures: Sequence[IndexedPicture], project_id: str) -> list[Path | ImageError]:
    """Return the file of each picture of the project's index, or why there is none, in their order."""

    cached = media.cached([picture.reference for picture in pictures], project_id)
    missing = [picture for picture, path in zip(pictures, cached, strict=True) if path is None]

    def fetch(index: int) -> Path:
        picture = missing[index]
        if picture.problem:
            raise ImageError(picture.problem)
        return media.fetch(picture.reference, project_id, picture.task)

    # Most are in the cache, where a project was trained on before; threads would only cost time.
    fetched = iter(_fetch_all(project_id, [picture.task for picture in missing], fetch))
    return [next(fetched) if path is None else path for path in cached]


def _fetch_all(project_id: str, tasks: Sequence[object], fetch: Callable[[int], Path]) -> list[Path | ImageError]:
    """Return what `fetch` gives for each place in `tasks`, or the error that it raises, which is logged."""

    def attempt(index: int) -> Path | ImageError:
        try:
            return fetch(index)
        except ImageError as error:
            logger.warning("project %s, task %r: %s", project_id, tasks[index], error)
            return error

    if len(tasks) < 2:
        return [attempt(index) for index in range(len(tasks))]
    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="fetch") as pool:
        return list(pool.map(attempt, range(len(tasks))))


def raise_if_none_for_now(found: Sequence[Path | ImageError]) -> None:
    """Raise ImageNotNowError if no picture came and one could come later: then Label Studio or the storage is down."""
    later = [error for error in found if isinstance(error, ImageNotNowError)]
    if later and not any(isinstance(path, Path) for path in found):
        raise later[0]
