"""Label Studio's own import format: `tasks.json`, the labeling config beside it, and the pictures in `images`.

Tasks of a project keep their annotations and predictions as they are, region by region. What comes from a file of
predictions becomes predictions, in the controls of a labeling config. No backend has to run for either.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from backend.exports.project import TaskImage
from backend.exports.task_objects import Take, chosen_prediction
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.recommended_config import recommended_config
from backend.labelstudio.results import to_prediction
from wsol_core.exports.records import ExportedImage, ExportedObject
from wsol_core.files import write_whole
from wsol_core.records import Localization, Region

KEPT = ("result", "ground_truth", "was_cancelled", "lead_time")  # of an annotation; people and times are a server's own
LOCAL_FILES = "/data/local-files/?d=images/"

Json = dict[str, Any]


class LabelStudioFormat:
    """Tasks to import. Their pictures are addressed as `prefix` and the file's name.

    Args: config: XML. prefix: where Label Studio will find the folder `images`; None keeps the addresses that tasks
        have. version: what predictions are said to come from. take: which of a task's annotations and predictions.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        prefix: str | None,
        version: str,
        take: Take = Take.BOTH,
        min_score: float = 0.0,
    ) -> None:
        self._folder, self._xml, self._prefix, self._version = folder, config, prefix, version
        self._config, self._take, self._min_score = LabelConfig.parse(config), take, min_score
        self._tasks: list[Json] = []

    def picture(self, file: str, split: str) -> str:
        """All in one folder."""
        return f"images/{file}"

    def add(self, image: ExportedImage, file: str) -> None:
        """Keeps a task for `finish`."""
        address = None if self._prefix is None else self._prefix + quote(file)
        self._tasks.append(self._of_task(image, address) if isinstance(image, TaskImage) else self._of(image, address))

    def finish(self) -> None:
        """Writes the tasks and the labeling config."""
        tasks = json.dumps(self._tasks, ensure_ascii=False)
        write_whole(self._folder / "tasks.json", f"{tasks}\n".encode())
        write_whole(self._folder / "label_config.xml", f"{self._xml.strip()}\n".encode())

    def _of_task(self, image: TaskImage, address: str | None) -> Json:
        data = {**image.task.get("data", {}), "split": image.split}
        if address is not None:
            data[self._config.image_key] = address
        task: Json = {"data": data}
        if self._take is not Take.PREDICTIONS:
            task["annotations"] = [_kept(each) for each in _listed(image.task, "annotations")]
        if self._take is not Take.ANNOTATIONS:
            chosen = chosen_prediction(image.task, self._version)
            task["predictions"] = [] if chosen is None else [self._prediction(chosen)]
        return task

    def _prediction(self, prediction: Mapping[str, Any]) -> Json:
        results = [each for each in prediction["result"] if float(each.get("score") or 1.0) >= self._min_score]
        return {"result": results, "score": prediction.get("score"), "model_version": prediction.get("model_version")}

    def _of(self, image: ExportedImage, address: str | None) -> Json:
        regions = tuple(_region(each, image.size_wh) for each in image.objects)
        scores = dict.fromkeys(image.labels, 1.0)
        localization = Localization(image.name, image.size_wh, scores, regions)
        prediction = to_prediction(localization, self._config, self._version, score_threshold=0.0, chosen=image.labels)
        data = {self._config.image_key: address or image.name, "file": image.name, "split": image.split}
        return {"data": data, "predictions": [prediction]}


def config_of(classes: Sequence[str]) -> str:
    """The recommended config, without the class from the task's data, which is for people's word alone."""
    return "".join(line for line in recommended_config(classes).splitlines(True) if "<Header" not in line)


def opener(*arguments: Any) -> Callable[[Path, Sequence[str]], LabelStudioFormat]:
    """What begins a data set in a folder, with LabelStudioFormat's further arguments."""
    return lambda folder, _classes: LabelStudioFormat(folder, *arguments)


def _kept(annotation: Mapping[str, Any]) -> Json:
    return {name: annotation[name] for name in KEPT if annotation.get(name) is not None}


def _listed(source: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    values = source.get(key)
    return [each for each in values if isinstance(each, Mapping)] if isinstance(values, list) else []


def _region(each: ExportedObject, size_wh: tuple[int, int]) -> Region:
    mask = np.zeros((size_wh[1], size_wh[0]), np.bool_) if each.mask is None else each.mask
    return Region(each.label, each.box_xyxy, each.score or 0.0, (), mask)
