"""What people do in a real Label Studio is noticed, read and kept, and their masks are the same to the pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.converter.brush import decode_rle
from PIL import Image

from backend.jobs.context import JobContext, job_context
from backend.jobs.manifest import frozen_manifest, read_pictures
from backend.labelstudio.brush_rle import decode_mask, encode_mask
from backend.labelstudio.client import LabelStudioClient
from backend.labelstudio.corrections import drawn_regions
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.results import to_prediction
from backend.labelstudio.reviews import review
from backend.storage.feedback import FeedbackStore
from tests.label_studio.conftest import PASSWORD, USER, Place
from tests.label_studio.person import CONFIG
from tests.label_studio.servers import eventually
from wsol_core.data.images import open_image_small, open_mask
from wsol_core.records import BoolMask, Localization, Region

pytestmark = pytest.mark.slow

Json = dict[str, Any]
PARSED = LabelConfig.parse(CONFIG)
VALUE = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["fish"]}
SIZE = {"original_width": 100, "original_height": 100, "image_rotation": 0}
BOX = {"id": "b", "from_name": "box", "to_name": "image", "type": "rectanglelabels", **SIZE, "value": VALUE}


@pytest.fixture
def client(place: Place) -> Iterator[LabelStudioClient]:
    with closing(LabelStudioClient(place.label_studio.url, place.token)) as client:
        yield client


def annotate(place: Place, task: int, *result: Json, **more: Any) -> int:
    body = {"result": list(result), "lead_time": 2.5, **more}
    return int(place.person.call("POST", f"/api/tasks/{task}/annotations/", json=body)["id"])


def test_every_way_to_change_an_annotation_shows_among_the_changed_tasks(
    place: Place, client: LabelStudioClient
) -> None:
    person = place.person
    number = person.make("changes", CONFIG)
    project = str(number)
    assert client.newest_change(project) is None
    person.import_images(number, [f"{place.web}/{index}.jpg" for index in range(4)])
    first, second, third, fourth = (task["id"] for task in person.tasks(number))
    client.import_predictions(
        project, [{"task": task, "result": [BOX], "score": 0.5, "model_version": "v1"} for task in (third, fourth)]
    )

    def changed_by(act: Callable[[], Any]) -> list[int]:
        before = client.newest_change(project)
        assert before is not None
        act()
        return [task["id"] for task in client.task_page(project, 0, changed_after=before)]

    def in_bulk(action: str, *tasks: int) -> None:
        body = {"selectedItems": {"all": False, "included": list(tasks)}, "model_version": "v1"}
        person.call("POST", "/api/dm/actions", params={"id": action, "project": number}, json=body)

    def patch(annotation: int, **values: Any) -> None:
        person.call("PATCH", f"/api/annotations/{annotation}/", json=values)

    made: list[int] = []
    assert changed_by(lambda: made.append(annotate(place, second, BOX))) == [second]
    assert changed_by(lambda: patch(made[0], result=[])) == [second]
    assert changed_by(lambda: patch(made[0], ground_truth=True)) == [second]
    assert changed_by(lambda: annotate(place, first, was_cancelled=True)) == [first]
    assert changed_by(lambda: person.call("DELETE", f"/api/annotations/{made[0]}/")) == [second]
    assert changed_by(lambda: in_bulk("predictions_to_annotations", third, fourth)) == [third, fourth]
    copied = [task for task in client.tasks(project) if task["id"] == third]
    assert [found.outcome for task in copied if (found := review(task, PARSED))] == ["accepted"]
    assert changed_by(lambda: in_bulk("delete_tasks_annotations", third, fourth)) == [third, fourth]
    assert client.task_page(project, second, changed_after=client.newest_change(project)) == []
    person.call("DELETE", f"/api/tasks/{second}/")  # no task is changed by that, so they are counted
    counts = [client.count_tasks(project, above, up_to) for above, up_to in ((0, fourth), (first, third), (0, 10**9))]
    assert counts == [3, 1, 3] and client.last_task(project) == fourth


def test_a_correction_is_in_the_ledger_soon(place: Place, client: LabelStudioClient) -> None:
    person = place.person
    number = person.make("ledger", CONFIG)
    project = str(number)
    person.import_images(number, [f"{place.web}/{index}.jpg" for index in range(3)])
    person.connect(number, place.url, auth_method="BASIC_AUTH", basic_auth_user=USER, basic_auth_pass=PASSWORD)

    def is_signed() -> bool:
        person.call("GET", "/api/ml", params={"project": number})  # has Label Studio call /setup
        hooks = person.call("GET", "/api/webhooks/", params={"project": number})
        return any("Authorization" in hook["headers"] for hook in hooks)

    eventually(is_signed, 90, "the webhook is signed", place.log)
    first, second, third = (task["id"] for task in person.tasks(number))
    client.import_predictions(project, [{"task": first, "result": [BOX], "score": 0.5, "model_version": "v1"}])
    [prediction] = person.predictions(number, "v1")
    moved = {**BOX, "origin": "prediction-changed", "value": {**VALUE, "x": 25}}
    annotate(place, first, moved, parent_prediction=prediction["id"])
    annotate(place, second, was_cancelled=True)
    person.choose({"id": third}, "fish")
    ledger = FeedbackStore(place.home / "feedback.sqlite")

    def outcomes() -> list[str] | None:
        rows = ledger.rows(project)
        return [row.outcome for row in rows] if len(rows) == 3 else None

    assert eventually(outcomes, 60, "three rows", place.log) == ["corrected", "skipped", "open"]
    row = ledger.rows(project)[0]
    [found] = row.objects
    assert (row.version, row.score, row.lead_time_s, row.labels) == ("v1", 0.5, 2.5, ("fish",))
    assert (found.fate, found.box_iou) == ("edited", pytest.approx(1 / 3))
    person.call("DELETE", f"/api/tasks/{second}/")
    assert eventually(lambda: len(ledger.rows(project)) == 2, 60, "the row is gone", place.log)


def spots(seed: int, size_wh: tuple[int, int]) -> BoolMask:
    """Runs of all lengths, single pixels and the picture's edges among them."""
    found = np.random.default_rng(seed).random(size_wh[::-1]) < 0.3
    found[8:20, 5:17] = True
    found[0, :] = found[-1, -1] = True
    return found


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_brush_masks_come_back_to_the_pixel(
    place: Place, client: LabelStudioClient, tmp_path: Path, orientation: int
) -> None:
    """Whichever way the picture's EXIF data turns it: masks and sizes are those of the upright picture."""
    person, path = place.person, tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (61, 43), (90, 120, 60)).save(path, exif=exif)
    number = person.make(f"masks {orientation}", CONFIG)
    project = str(number)
    person.upload(number, [path])
    [task] = person.tasks(number)
    _, size_wh = open_image_small(path, 32)
    assert size_wh == ((43, 61) if orientation in (6, 7) else (61, 43))

    predicted, drawn = spots(1, size_wh), spots(2, size_wh)
    corners = ((5.0, 8.0), (17.0, 8.0), (17.0, 20.0))
    region = Region("fish", (5, 8, 17, 20), 0.9, corners, predicted)
    found = Localization("turned", size_wh, {"fish": 0.9}, (region,))
    prediction = to_prediction(found, PARSED, "v1", score_threshold=0.0)
    client.import_predictions(project, [{"task": task["id"], **prediction}])
    [stored] = person.predictions(number, "v1")
    [brush] = [each for each in stored["result"] if each["type"] == "brushlabels"]
    assert np.array_equal(decode_mask(brush["value"]["rle"], size_wh), predicted)

    value = {**brush["value"], "rle": encode_mask(drawn)}
    changed = {**brush, "origin": "prediction-changed", "value": value}
    made = annotate(place, task["id"], changed, parent_prediction=stored["id"])
    for _ in range(2):
        [task] = client.tasks(project)
        [come_back] = task["annotations"][0]["result"]
        assert (come_back["original_width"], come_back["original_height"]) == size_wh
        rle = come_back["value"]["rle"]
        mask = decode_mask(rle, size_wh)
        assert np.array_equal(mask, drawn)
        assert np.array_equal(decode_rle(rle).reshape(*mask.shape, 4)[..., 3] > 0, drawn)  # as Label Studio's SDK
        again = {**come_back, "value": {**come_back["value"], "rle": encode_mask(mask)}}
        assert again == come_back
        person.call("PATCH", f"/api/annotations/{made}/", json={"result": [again]})

    [kept] = drawn_regions(task, PARSED)
    assert (kept.label, kept.size_wh) == ("fish", size_wh)
    assert kept.mask is not None and np.array_equal(kept.mask, drawn)
    said = review(task, PARSED)
    assert said is not None and said.version == "v1"
    overlap = np.count_nonzero(predicted & drawn) / np.count_nonzero(predicted | drawn)
    [whole] = said.objects  # its box went
    assert (whole.fate, whole.box_iou, whole.mask_iou) == ("edited", None, pytest.approx(overlap))


def ellipse(box: tuple[int, int, int, int], size_wh: tuple[int, int]) -> BoolMask:
    x0, y0, x1, y1 = box
    y, x = np.mgrid[: size_wh[1], : size_wh[0]] + 0.5
    return np.asarray((2 * x - x0 - x1) ** 2 / (x1 - x0) ** 2 + (2 * y - y0 - y1) ** 2 / (y1 - y0) ** 2 <= 1)


@pytest.fixture
def context(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobContext]:
    """A worker's, with a home of its own."""
    values = {
        "BOXSTRAP_HOME": tmp_path / "home",
        "LABEL_STUDIO_URL": place.label_studio.url,
        "IMAGE_HOSTS": "127.0.0.1",
    }
    for name, value in {**values, "LABEL_STUDIO_API_KEY": place.token}.items():
        monkeypatch.setenv(name, str(value))
    job_context.cache_clear()
    context = job_context()
    yield context
    context.label_studio().close()
    job_context.cache_clear()


def test_two_touching_objects_of_a_class_reach_the_training_as_two(
    place: Place, client: LabelStudioClient, context: JobContext
) -> None:
    """From the prediction, through an edit in Label Studio and the manifest, to the sample's regions."""
    person, path = place.person, place.drawn["fish"][0]
    number = person.make("neighbours", CONFIG)
    project = str(number)
    person.upload(number, [path] * 3)
    edited, drawn, labelled = person.tasks(number)
    _, size_wh = open_image_small(path, 32)
    boxes = ((100, 100, 220, 220), (200, 130, 330, 250))  # they overlap, and so do the outlines
    right = ellipse(boxes[1], size_wh)
    left = ellipse(boxes[0], size_wh) & ~right
    found = [Region("fish", box, 0.9, (), mask) for box, mask in zip(boxes, (left | right, right), strict=True)]
    localization = Localization("neighbours", size_wh, {"fish": 0.9}, tuple(found))
    prediction = to_prediction(localization, PARSED, "v1", score_threshold=0.0)
    client.import_predictions(project, [{"task": edited["id"], **prediction}])
    [stored] = person.predictions(number, "v1")

    copied = [{**each, "origin": "prediction"} for each in stored["result"]]
    brush = next(each for each in copied if each["type"] == "brushlabels")  # the left one's, which covers both
    brush |= {"origin": "prediction-changed", "value": {**brush["value"], "rle": encode_mask(left)}}
    annotate(place, edited["id"], *copied, parent_prediction=stored["id"])
    # Without a prediction: two boxes, and one stroke of the brush over both.
    alone = [{**each, "id": f"drawn{index}", "origin": "manual"} for index, each in enumerate(stored["result"])]
    stroke = next(each for each in alone if each["type"] == "brushlabels")
    rectangles = [each for each in alone if each["type"] == "rectanglelabels"]
    annotate(
        place, drawn["id"], {**stroke, "value": {**stroke["value"], "rle": encode_mask(left | right)}}, *rectangles
    )
    person.choose(labelled, "fish")

    run = context.stores.runs.create(project, {})
    pictures = read_pictures(frozen_manifest(context, run))
    samples = {sample.file: sample for sample in (*pictures.train, *pictures.holdout)}
    for task, exact in ((edited, True), (drawn, False)):
        regions = sorted(samples[f"task {task['id']}"].regions, key=lambda region: region.box_xyxy)
        assert [region.label for region in regions] == ["fish", "fish"]
        masks = []
        for region, box, mask in zip(regions, boxes, (left, right), strict=True):
            assert region.box_xyxy == pytest.approx(box, abs=0.01) and region.mask_path is not None
            masks.append(open_mask(region.mask_path) > 0)
            overlap = np.count_nonzero(masks[-1] & mask) / np.count_nonzero(masks[-1] | mask)
            assert overlap == 1 if exact else overlap > 0.9
        assert not (masks[0] & masks[1]).any()
    said = {row.task: row for task in client.tasks(project) if (row := review(task, PARSED))}
    assert [each.fate for each in said[edited["id"]].objects] == ["edited", "accepted"]
    assert said[labelled["id"]].objects == ()
