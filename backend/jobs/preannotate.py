"""RQ job: predict one chunk of a project's tasks and write boxes and masks into Label Studio, replacing older ones.

A task has one prediction of ours then, and never none in between: a new one is imported, or written over the old one,
before anything is deleted. A chunk that was killed is done again and finds its tasks somewhere on that way.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backend.errors import DamagedFileError
from backend.jobs.context import JobContext, job_context
from backend.jobs.gallery import show_least_certain
from backend.jobs.predict import Predicted, predict_each
from backend.jobs.retrying import retried
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.controls import CHOICE_KINDS
from backend.labelstudio.drafts import is_ours, opens_with_annotation, plan_draft
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.prediction_replacement import ReplacementPlan, cluster_of, plan_replacement
from backend.labelstudio.task_order import project_changes
from backend.queueing.messages import PreannotationChunk
from backend.queueing.progress import PreannotationProgress
from backend.storage.ledger_rows import ClassDoubt
from backend.storage.models import is_version_of
from backend.storage.policies import Sampling
from backend.wording import left_out_sentence
from wsol_core.errors import StorageError
from wsol_core.localization.model_card import ModelCard

logger = logging.getLogger(__name__)

CHUNK = 64  # tasks: seconds of work, so that a person's /predict never waits long behind one
SURE = 0.8  # probability from which a class that nobody has given raises doubts about those that somebody has
SHOW_ALL = "`boxstrap policy {0} --score-threshold 0`, and then `boxstrap preannotate {0} --anew`, show all."

Json = dict[str, Any]


@retried
def preannotate(chunk: Mapping[str, Any]) -> dict[str, Any]:
    """Predict the next tasks above `after_id` and return what to do next; doing it twice stores nothing twice.

    Left alone are tasks that people have worked on, and predictions that others have made.
    Args: chunk: a PreannotationChunk as JSON.
    Returns: seen and done, and as `next` the following chunk, None after the last or when the version is not live.
    Raises: UnreachableError, ImageNotNowError when Label Studio is down, StorageError when the model store is away or a
        disk full; RQ tries again.
    """
    return _preannotate(job_context(), PreannotationChunk.from_dict(chunk))


def _preannotate(context: JobContext, chunk: PreannotationChunk) -> dict[str, Any]:
    project_id, version = chunk.project_id, chunk.version
    if (live := context.stores.models.current(project_id)) != version:
        if live is None:
            context.stores.require_model_store(project_id)
        logger.info("project %s: pre-annotation by %s ends, another version is live", project_id, version)
        return {"seen": chunk.seen, "done": chunk.done, "next": None}
    client, start_s = context.label_studio(), time.monotonic()
    project = client.project(project_id)
    config = context.label_config(project_id, str(project.get("label_config", "")))
    page = client.task_page(project_id, chunk.after_id, CHUNK)
    drafts = context.settings.preannotate_as == "draft" if chunk.drafts is None else chunk.drafts
    tasks = int(project.get("task_number") or 0)
    work = _Chunk(context, client, project_id, version, config, tasks, chunk.anew)
    seen, done = work.write(page, chunk.after_id)
    if drafts:
        work.write_drafts(page[:seen], chunk.after_id)
    ended = len(page) < CHUNK and seen == len(page)
    if ended:
        _update_project(context, client, project_id, version)
    counts: Json = {"seen": chunk.seen + seen, "done": chunk.done + done}
    hidden: Json = {"left_out": dict(work.left_out + Counter(chunk.left_out)), "empty": chunk.empty + work.empty}
    tasks = counts["seen"] if ended else max(counts["seen"], tasks)
    left_s = round((time.monotonic() - start_s) / max(1, seen) * (tasks - counts["seen"]), 1)
    progress = PreannotationProgress(version, **counts, ended=ended, tasks=tasks, seconds_left=left_s, **hidden)
    context.queue.progress.report_preannotation(project_id, progress)
    after_id = page[seen - 1]["id"] if seen else chunk.after_id
    following = replace(chunk, **counts, **hidden, after_id=after_id)
    if not ended:
        return {**counts, "next": following.to_dict()}
    context.stores.feedback.set_next_chunk(project_id, replace(following, anew=False).to_dict())
    logger.info(
        "project %s: %d of %d tasks have predictions of %s", project_id, counts["done"], counts["seen"], version
    )
    if sentence := left_out_sentence(progress.left_out, progress.empty):
        logger.info("project %s: %s %s", project_id, sentence, SHOW_ALL.format(project_id))
    return {**counts, "next": None}


def request_later_predictions(context: JobContext, project_id: str) -> None:
    """Have the tasks predicted that came after the live version's pre-annotation; costs one request where none did."""
    following = context.stores.feedback.next_chunk(project_id)
    if following is None:
        return
    chunk = PreannotationChunk.from_dict(following)
    is_live = context.stores.models.current(project_id) == chunk.version
    if is_live and context.label_studio().task_page(project_id, chunk.after_id, 1):
        context.queue.preannotate(chunk)


class _Chunk:
    """One chunk of a project's tasks, to be predicted with one version."""

    def __init__(
        self,
        context: JobContext,
        client: LabelStudioClient,
        project_id: str,
        version: str,
        config: LabelConfig,
        tasks: int,
        anew: bool = False,
    ) -> None:
        """Args: tasks: how many the project has."""
        self._context, self._client, self._config, self._anew = context, client, config, anew
        self._tasks = tasks
        self._project_id, self._version = project_id, version
        self._clustered = context.stores.policies.find(project_id).sampling == Sampling.UNCERTAINTY
        self.left_out: Counter[str] = Counter()  # objects of each class that are not shown
        self.empty = 0  # tasks that show none for that reason

    def write(self, page: Sequence[Json], after_id: int) -> tuple[int, int]:
        """Write the page's predictions; return how many tasks were seen, and how many got a new prediction."""
        plans = [self._plan_replacement(task, self._anew) for task in page]
        waiting = [task for task, plan in zip(page, plans, strict=True) if plan is not None and plan.current is None]
        predicted = self._predict(waiting)
        fresh = {task["id"] for task, plan in zip(page, plans, strict=True) if plan is not None and plan.over is None}
        self._client.import_predictions(
            self._project_id,
            [{"task": number, **each.prediction} for number, each in predicted.items() if number in fresh],
            self._config.xml,
            self._tasks,
        )
        imported = fresh & predicted.keys()
        for number in imported:
            self._count(predicted[number])
        if not self._clustered and all(plan is None or plan.done or _has_no_older(plan) for plan in plans):
            return len(page), len(imported)
        return self._replace([task["id"] for task in page], after_id, predicted, imported)

    def write_drafts(self, page: Sequence[Json], after_id: int) -> None:
        """Show the predictions of the page's tasks as drafts, where they open with classes that our user submitted."""
        if not any(map(opens_with_annotation, page)):
            return
        user = int(self._client.whoami()["id"])
        numbers = {task["id"] for task in page if opens_with_annotation(task, user)}
        # Read again: predictions have been stored meanwhile, and people have gone on.
        for task in self._client.task_page(self._project_id, after_id, CHUNK) if numbers else ():
            plan = self._plan_replacement(task) if task["id"] in numbers else None
            draft = plan_draft(task, user, plan.current, self._config) if plan and plan.current else None
            if draft is None:
                continue
            if draft.over is None:
                self._client.add_draft(task["id"], draft.annotation, draft.result)
            elif is_ours(self._client.draft(draft.over) or {}):  # a person may have begun just now
                self._client.change_draft(draft.over, draft.result)

    def _replace(
        self, numbers: Sequence[int], after_id: int, predicted: Mapping[int, Predicted], imported: Collection[int]
    ) -> tuple[int, int]:
        """Replace the predictions that are there, as `write`; ends early if a person waits for this worker.

        Args: imported: the tasks that got their prediction just now.
        """
        done = len(imported)
        # Read again: people have gone on while we predicted, and what was imported has numbers now. One after the
        # other, as Label Studio's counts of a project's data columns are not made for two changes at a time.
        now = {task["id"]: task for task in self._client.task_page(self._project_id, after_id, CHUNK)}
        for index, number in enumerate(numbers):
            anew = self._anew and number not in imported
            plan = self._plan_replacement(now[number], anew) if number in now else None
            if plan is None:
                continue
            written = self._replace_prediction(now[number], plan, predicted.get(number))
            if written and plan.current is None:
                self._count(predicted[number])
                done += 1
            if written and index + 1 < len(numbers) and self._context.queue.is_waited_for():
                return index + 1, done
        return len(numbers), done

    def _replace_prediction(self, task: Json, plan: ReplacementPlan, predicted: Predicted | None) -> bool:
        """Leave the task with one prediction of ours; return whether that took a request."""
        fresh = None if predicted is None else predicted.prediction
        shown = fresh if plan.current is None else plan.current
        number = plan.over if plan.current is None else plan.current["id"]
        if shown is None or number is None:
            return False  # the task or its prediction came or went just now; the next time finds it
        # With its task, which Label Studio needs where it validates predictions.
        changes = {"task": task["id"], **shown} if plan.current is None else {}
        if self._clustered and (cluster := cluster_of(task, shown, self._config)) != shown.get("cluster"):
            changes["cluster"] = cluster
        if changes and not self._client.change_prediction(number, **changes):
            return False
        deleted = [self._client.delete_prediction(each) for each in plan.superfluous]
        return bool(changes or deleted)

    def _predict(self, tasks: Sequence[Json]) -> dict[int, Predicted]:
        """Return what each task gets, by its id, without masks; keep the model's doubts about the classes."""
        if not tasks:
            return {}
        found = list(predict_each(self._context, self._project_id, self._version, tasks, self._config))
        card = self._context.predictor(self._project_id, self._version)[1].card
        try:
            for task, each in zip(tasks, found, strict=True):
                if each.labels and each.localization is not None:
                    self._context.stores.feedback.set_doubt(self._project_id, int(task["id"]), class_doubt(each, card))
        except (DamagedFileError, StorageError) as error:  # the ledger's; predictions need none
            logger.warning("project %s: doubts about classes are not kept: %s", self._project_id, error)
        pictures = [each.drawable for each in found if each.drawable is not None]
        show_least_certain(self._context, self._project_id, self._version, pictures)
        return {
            int(task["id"]): replace(each, localization=None, drawable=None)
            for task, each in zip(tasks, found, strict=True)
        }

    def _count(self, written: Predicted) -> None:
        """Count what a prediction that was written leaves out."""
        self.left_out.update(written.left_out)
        shows_nothing = all(each["type"] in CHOICE_KINDS for each in written.prediction["result"])
        self.empty += bool(written.left_out) and shows_nothing

    def _plan_replacement(self, task: Json, anew: bool = False) -> ReplacementPlan | None:
        return plan_replacement(task, self._project_id, self._version, self._config, anew)


def class_doubt(predicted: Predicted, card: ModelCard) -> ClassDoubt | None:
    """Return the class that the model is sure to see where people gave others; None if it agrees or is not sure."""
    if predicted.localization is None or card.multi_label or len(card.classes) < 2:
        return None
    seen = predicted.localization.label
    probability = predicted.localization.scores[seen]
    if seen in predicted.labels or probability < SURE:
        return None
    return ClassDoubt(predicted.labels, seen, round(float(probability), 4))


def _has_no_older(plan: ReplacementPlan) -> bool:
    """Return whether the task had no prediction of ours."""
    return plan.current is None and plan.over is None and not plan.superfluous


def _update_project(context: JobContext, client: LabelStudioClient, project_id: str, version: str) -> None:
    """Set the project to show the version, and to offer its tasks in the order that its policy names."""
    sampling = context.stores.policies.find(project_id).sampling
    project = client.project(project_id)
    title = None
    # Asking for backends makes Label Studio call them all.
    if sampling not in (Sampling.AS_IT_IS, Sampling.UNCERTAINTY):
        backends = client.backends(project_id)
        ours = [each for each in backends if is_version_of(each.get("model_version"), project_id)]
        title = str(ours[0]["title"]) if ours else None
    changes = project_changes(project, project_id, version, sampling, title)
    if changes.get("model_version") == version and version not in client.model_versions(project_id):
        # People had worked on every task; Label Studio takes no version that predicts none.
        del changes["model_version"]
    if changes:
        client.update_project(project_id, **changes)
        logger.info("project %s: %s", project_id, ", ".join(f"{name} is {value!r}" for name, value in changes.items()))
