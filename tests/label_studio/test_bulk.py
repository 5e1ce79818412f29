"""`boxstrap accept` and `boxstrap masks` in a real Label Studio: what they write, leave alone, and take back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.cli import main
from backend.labelstudio.annotations import MARK, is_accepted_in_bulk
from backend.labelstudio.corrections import drawn_regions
from backend.labelstudio.label_config import LabelConfig
from backend.labelstudio.reviews import review
from backend.storage.stores import Stores
from backend.storage.version_facts import VersionFacts
from tests.label_studio.conftest import Place
from tests.label_studio.person import CONFIG

pytestmark = pytest.mark.slow

PARSED = LabelConfig.parse(CONFIG)
Json = dict[str, Any]


def project(place: Place, stores: Stores, model: Path, title: str, pictures: int) -> tuple[int, str]:
    """A project of so many pictures of fish, and its live version."""
    number = place.person.make(title, CONFIG)
    addresses = [f"{place.web}/{path.relative_to(place.folder)}" for path in place.drawn["fish"]]
    place.person.import_tasks(
        number, [{"image": addresses[index % len(addresses)], "label": "fish"} for index in range(pictures)]
    )
    return number, stores.models.publish(str(number), model, VersionFacts(run="bulk"))


def said(capsys: pytest.CaptureFixture[str], *command: str) -> Json:
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def box(name: str, x: float, score: float) -> Json:
    value = {"x": x, "y": 10, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["fish"]}
    size = {"original_width": 640, "original_height": 480, "image_rotation": 0}
    return {"id": name, "from_name": "box", "to_name": "image", "type": "rectanglelabels", **size} | {
        "value": value,
        "score": score,
    }


def test_what_is_accepted_in_bulk_is_no_evidence_and_can_be_taken_back(
    place: Place, stores: Stores, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number, version = project(place, stores, model, "accepted", 30)
    person, name = place.person, str(number)
    scores = [0.9 if index % 3 else 0.3 for index in range(30)]
    predictions = [
        {"task": task["id"], "result": [box(f"{index:08x}-0", 20, score)], "score": score, "model_version": version}
        for index, (task, score) in enumerate(zip(person.tasks(number), scores, strict=True))
    ]
    person.call("POST", f"/api/projects/{number}/import/predictions", json=predictions)
    tasks = person.tasks(number)
    for task, score in list(zip(tasks, scores, strict=True))[:9]:
        [prediction] = task["predictions"]
        moved = {} if score > 0.5 else {"value": {**prediction["result"][0]["value"], "x": 60}}
        result = [{**prediction["result"][0], "origin": "prediction-changed" if moved else "prediction", **moved}]
        body = {"result": result, "parent_prediction": prediction["id"], "lead_time": 2.0}
        person.call("POST", f"/api/tasks/{task['id']}/annotations/", json=body)
    reviewed = [row for task in person.tasks(number) if (row := review(task, PARSED))]
    stores.feedback.put(name, reviewed)

    command = ("accept", name, "--risk", "0.25", "--audit", "0.3")
    strict = said(capsys, "accept", name)
    assert strict["threshold"] is None and strict["accepted"] == 0 and "81 tasks" in strict["sentence"]
    rehearsed = said(capsys, *command, "--dry-run")
    assert all(len(task["annotations"]) == 0 for task in person.tasks(number)[9:])
    done = said(capsys, *command)
    assert rehearsed == {**done, "dry_run": True}
    assert (done["accepted"] + done["kept"], done["below"], done["others"]) == (14, 7, 9)
    assert done["accepted"] > 0 and done["kept"] > 0 and done["threshold"]["threshold"] == 0.9
    after = person.tasks(number)
    accepted = [task for task in after if any(map(is_accepted_in_bulk, task["annotations"]))]
    me = person.call("GET", "/api/current-user/whoami")["id"]
    for task in accepted:
        [annotation], [prediction] = task["annotations"], task["predictions"]
        assert annotation["completed_by"] == me and annotation["parent_prediction"] == prediction["id"]
        assert annotation["result"][0]["value"] == prediction["result"][0]["value"]
    assert len(accepted) == done["accepted"]
    now = [row for task in after if (row := review(task, PARSED))]
    assert [(row.task, row.outcome) for row in now if row.outcome != "open"] == [
        (row.task, row.outcome) for row in reviewed if row.outcome != "open"
    ]

    assert said(capsys, *command)["accepted"] == 0
    [saved] = accepted[0]["annotations"]  # the editor writes what it knows of
    result = [{key: value for key, value in each.items() if key != MARK} for each in saved["result"]]
    person.call("PATCH", f"/api/annotations/{saved['id']}/", json={"result": result})
    assert said(capsys, "accept", name, "--undo", "--dry-run")["deleted"] == len(accepted) - 1
    assert said(capsys, "accept", name, "--undo")["deleted"] == len(accepted) - 1
    left = {task["id"]: len(task["annotations"]) for task in person.tasks(number)[9:]}
    assert left == {**dict.fromkeys(left, 0), accepted[0]["id"]: 1}


def test_boxes_get_masks_as_drafts_or_predictions_that_lose_nothing_of_what_people_drew(
    place: Place, stores: Stores, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number, version = project(place, stores, model, "masks", 3)
    person, name = place.person, str(number)
    first, second, untouched = person.tasks(number)
    sizes = {}
    for task, path in zip((first, second), place.drawn["fish"], strict=False):
        with Image.open(path) as picture:
            sizes[task["id"]] = width, height = picture.size
        region = {**box("drawn", 20, 1.0), "original_width": width, "original_height": height, "origin": "manual"}
        person.call("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": [region], "lead_time": 1.0})
    assert said(capsys, "masks", name, "--as", "draft", "--dry-run")["masks"] == 2
    drawn = {task["id"]: task["annotations"] for task in person.tasks(number)}
    done = said(capsys, "masks", name, "--as", "draft")
    assert (done["masks"], done["drafts"], done["predictions"], done["known"]) == (2, 2, 0, 0)
    tasks = {task["id"]: task for task in person.tasks(number)}
    assert {task["id"]: task["annotations"] for task in tasks.values()} == drawn
    [draft] = tasks[first["id"]]["drafts"]
    [annotation] = tasks[first["id"]]["annotations"]
    assert [each["type"] for each in draft["result"]] == ["rectanglelabels", "brushlabels"]
    assert draft["annotation"] == annotation["id"] and not tasks[untouched["id"]]["drafts"]
    again = said(capsys, "masks", name, "--as", "draft")
    assert (again["masks"], again["known"]) == (0, 2)
    # Update, as the editor does it.
    result = [{key: value for key, value in each.items() if key != MARK} for each in draft["result"]]
    person.call("PATCH", f"/api/annotations/{annotation['id']}/", json={"result": result, "draft_id": draft["id"]})

    done = said(capsys, "masks", name, "--as", "prediction")
    assert (done["masks"], done["predictions"]) == (1, 1)
    assert said(capsys, "masks", name, "--as", "prediction")["known"] == 1
    [prediction] = person.predictions(number)
    assert prediction["task"] == second["id"] and prediction["model_version"] == f"{version}-masks"
    copied = [
        {**{key: value for key, value in each.items() if key != MARK}, "origin": "prediction"}
        for each in prediction["result"]
    ]
    body = {"result": copied, "parent_prediction": prediction["id"], "lead_time": 1.0}
    person.call("POST", f"/api/tasks/{second['id']}/annotations/", json=body)
    for task in person.tasks(number)[:2]:
        [region] = drawn_regions(task, PARSED)
        width, height = sizes[task["id"]]
        x0, y0, x1, y1 = (0.2 * width, 0.1 * height, 0.5 * width, 0.5 * height)
        assert region.box_xyxy == pytest.approx((x0, y0, x1, y1)) and region.mask is not None
        inside = region.mask[int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)]
        assert inside.sum() == region.mask.sum() > 0
        row = review(task, PARSED)
        assert row is not None and row.outcome == "corrected" and row.version is None


def test_masks_need_a_version_and_a_tag(
    place: Place, stores: Stores, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = place.person.make("no tag for masks", CONFIG.replace("BrushLabels", "RectangleLabels"))
    assert main(["masks", str(number)]) == 1
    assert "has no live version" in capsys.readouterr().err
    stores.models.publish(str(number), model, VersionFacts(run="bulk"))
    assert main(["masks", str(number)]) == 1
    assert "has no tag for masks; add BitmaskLabels" in " ".join(capsys.readouterr().err.split())
