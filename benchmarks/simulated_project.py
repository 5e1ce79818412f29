"""A project in a real Label Studio whose annotator knows the truth: its tasks, its rounds and its figures."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console

from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.results import to_prediction
from backend.settings import Settings
from backend.storage.stores import open_stores
from backend.storage.version_facts import VersionFacts
from benchmarks.annotator import Candidate, Work, annotate, label_config, ranking, summary
from demo.boxstrap_process import Boxstrap
from demo.project import DemoProject
from wsol_core.data.folder import DataFolder, read_folder
from wsol_core.data.images import open_image_small
from wsol_core.evaluation.evaluate import evaluate
from wsol_core.localization.model_folder import read_card
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Localization, Sample

BATCH = 100  # tasks in one import
PREDICTED_S = 1800  # for the predictions of all open tasks
MEASURES = ("max_box_acc_v2", "max_box_acc", "gt_known_loc", "px_ap", "mask_iou")
Json = dict[str, Any]
console = Console(stderr=True, highlight=False)


class SimulatedProject:
    """A new project of its own, and who annotates it. `open` are the tasks without an annotation, by number."""

    def __init__(
        self, label_studio: DemoProject, boxstrap: Boxstrap, home: Path, pictures: Path, order: str, seed: int
    ) -> None:
        data = read_folder(pictures, "train")
        self._label_studio, self._boxstrap, self._order = label_studio, boxstrap, order
        self._models = open_stores(Settings(home=home / "boxstrap")).models
        self._test = read_folder(pictures, "test").samples
        self._config = LabelConfig.parse(label_config(data.classes))
        self._solved: Counter[str] = Counter()
        self._corrections = 0
        self.number = label_studio.make(f"Loop, {order}: {pictures.name}"[:50], label_config(data.classes))
        self.open = self._import(data, pictures)
        shuffled = sorted(self.open)
        random.Random(seed).shuffle(shuffled)
        self._shuffled = {task: place for place, task in enumerate(shuffled)}
        label_studio.connect(self.number, boxstrap.url)

    def _import(self, data: DataFolder, pictures: Path) -> dict[int, Sample]:
        """The tasks that it makes, with the sample of each."""
        samples = {sample.file: sample for sample in data.samples if sample.truth}
        self._label_studio.serve_local_files(self.number, pictures)
        waiting = [
            {
                "image": f"/data/local-files/?d={quote(f'{pictures.name}/{sample.file}')}",
                "file": sample.file,
                "label": ", ".join(sample.labels),
            }
            for sample in samples.values()
        ]
        for start in range(0, len(waiting), BATCH):
            self._label_studio.import_tasks(self.number, [{"data": each} for each in waiting[start : start + BATCH]])
        return {task["id"]: samples[task["data"]["file"]] for task in self._label_studio.tasks(self.number)}

    def publish_first(self, model: Path) -> Json:
        """Round 0: `model` becomes the first version, and predicts."""
        card, begin = read_card(model), time.monotonic()
        facts = VersionFacts(
            run="first",
            trigger="command line",
            classes=tuple(card.classes),
            metrics=dict(card.metrics),
            config=card.config.to_dict(),
            code_version=card.code_version,
        )
        version = self._models.publish(str(self.number), model, facts)
        self._post(f"/api/projects/{self.number}/preannotate")
        self._wait_for_predictions(version)
        return self._row(version, None, {"predicting": time.monotonic() - begin})

    def next_round(self, count: int) -> Json:
        """The next tasks are annotated; a version is trained and, if it is live then, has predicted what is open."""
        begin = time.monotonic()
        work = self._annotate_next(count)
        annotated = time.monotonic()
        run_id = self._post(f"/api/projects/{self.number}/train")["id"]
        self._boxstrap.watch_training(self.number, console)
        if (version := self._models.of_run(str(self.number), run_id)) is None:
            raise RuntimeError(f"Run {run_id} has published no version; the log is {self._boxstrap.log}.")
        trained = time.monotonic()
        if self._live == version:
            self._wait_for_predictions(version)
        times = {"annotating": annotated - begin, "training": trained - annotated}
        return self._row(version, work, {**times, "predicting": time.monotonic() - trained})

    @property
    def _live(self) -> str | None:
        return self._models.current(str(self.number))

    def _annotate_next(self, count: int) -> Json:
        """What the predictions were worth, and what the annotator did; in the project's order."""
        predictions = {
            task["id"]: prediction
            for task in self._label_studio.tasks(self.number)
            for prediction in task["predictions"]
            if task["id"] in self.open and prediction["model_version"] == self._live
        }
        candidates = [
            Candidate(task, ", ".join(self.open[task].labels), found["score"] or 0.0)
            for task, found in predictions.items()
        ]
        if self._order == "ranking":
            candidates = ranking(candidates, self._solved)
        else:
            candidates.sort(key=lambda each: self._shuffled[each.task])
        works = []
        for chosen in candidates[:count]:
            works.append(self._submit(chosen.task, predictions[chosen.task]))
            self._solved[chosen.cluster] += 1
        self._corrections += sum(work.corrections for work in works)
        return summary(works)

    def _submit(self, task: int, prediction: Json) -> Work:
        sample = self.open.pop(task)
        _, size_wh = open_image_small(sample.path, 32, sample.file)
        work = annotate(prediction["result"], sample.truth, size_wh)
        said = {"result": work.result, "parent_prediction": prediction["id"]}
        self._label_studio.call("POST", f"/api/tasks/{task}/annotations/", json=said)
        return work

    def _wait_for_predictions(self, version: str) -> None:
        """Until every open task has one of the version."""
        deadline = time.monotonic() + PREDICTED_S
        while True:
            stored = self._label_studio.call("GET", f"/api/projects/{self.number}/model-versions").get(version, 0)
            if stored >= len(self.open):
                return
            if time.monotonic() > deadline or not self._boxstrap.runs():
                missing = f"Only {stored} of {len(self.open)} open tasks have predictions of {version}"
                raise RuntimeError(f"{missing}; Boxstrap's log is {self._boxstrap.log}.")
            time.sleep(1)

    def _row(self, version: str, work: Json | None, seconds: Json) -> Json:
        begin = time.monotonic()
        test = self._measure(version)
        seconds = {"all": sum(seconds.values()), **seconds, "measuring": time.monotonic() - begin}
        decision = self._models.facts(str(self.number), version).gate
        gate, live = decision and decision.to_dict(), "yes" if self._live == version else "no"
        row = {"version": version, "live": live, "gate": gate, "work": work, "corrections_so_far": self._corrections}
        return {**row, "test": test, "seconds": seconds}

    def _measure(self, version: str) -> Json:
        """On the test split: the usual measures, and what the annotator would have to do."""
        predictor = Predictor.open(self._models.folder(str(self.number), version))
        works = []

        def look(sample: Sample, found: Localization) -> None:
            predicted = to_prediction(found, self._config, version, score_threshold=0.0, chosen=sample.labels)
            works.append(annotate(predicted["result"], sample.truth, found.size_wh))

        metrics = evaluate(predictor, self._test, look).metrics
        return {**summary(works), **{name: metrics[name] for name in MEASURES}}

    def _post(self, path: str) -> Json:
        answer = httpx.post(f"{self._boxstrap.url}{path}", json={}, timeout=60, trust_env=False)
        if answer.is_error:
            raise RuntimeError(f"Boxstrap: POST {path} answered {answer.status_code}: {answer.text[:500]}")
        return dict(answer.json())
